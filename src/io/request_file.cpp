// SPDX-License-Identifier: Apache-2.0
#include "io/request_file.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "io/h5.hpp"
#include "io/mapped_file.hpp"
#include "io/sha256.hpp"

namespace constrictor::io {
namespace {

constexpr std::int64_t request_schema = 1;

[[noreturn]] void refuse(const std::string& path, const std::string& sentence) {
  throw UserError(path + ": " + sentence);
}

/// The integer datasets that have one value a request, in the order of the file's hash.
struct Column {
  const char* name;
  std::vector<std::int32_t> Requests::*values;
};
constexpr Column columns[] = {{"context_length", &Requests::context},
                              {"characters", &Requests::characters},
                              {"bytes", &Requests::bytes},
                              {"task", &Requests::task},
                              {"document", &Requests::document},
                              {"choice", &Requests::choice},
                              {"gold", &Requests::gold}};

std::vector<RequestTask> read_tasks(const H5Group& group, const std::string& path) {
  const auto names = group.names();
  std::vector<RequestTask> tasks(names.size());
  for (const std::string& name : names) {
    const H5Group one = group.group(name);
    const auto number = one.attribute<std::int64_t>("number");
    const auto rule = one.attribute<std::string>("rule");
    if (number < 0 || number >= static_cast<std::int64_t>(tasks.size()) ||
        !tasks[static_cast<std::size_t>(number)].name.empty())
      refuse(path, "the tasks are not numbered from 0");
    if (rule != "likeliest" && rule != "greedy")
      refuse(path, "task " + name + " has the rule \"" + rule +
                       "\"; this program knows likeliest and greedy");
    tasks[static_cast<std::size_t>(number)] = {
        name, rule == "greedy" ? AnswerRule::greedy : AnswerRule::likeliest,
        one.attribute<std::int64_t>("acc_norm") != 0};
  }
  return tasks;
}

Requests read(const std::string& path) {
  const H5File file = H5File::open(path);
  if (!file.has_attribute("schema") || !file.has("context_length"))
    refuse(path, "is no request file (`constrictor tasks build` makes one)");
  const auto schema = file.attribute<std::int64_t>("schema");
  if (schema != request_schema)
    refuse(path, "has request file schema " + std::to_string(schema) + "; this program knows 1");
  Requests requests;
  requests.path = path;
  requests.tokens = file.vector<std::int32_t>("tokens");
  requests.offset = file.vector<std::int64_t>("offset");
  for (const auto& [name, values] : columns) {
    requests.*values = file.vector<std::int32_t>(name);
    if ((requests.*values).size() != requests.context.size())
      refuse(path, "the dataset \"" + std::string(name) + "\" must have one value a request");
  }
  requests.tasks = read_tasks(file.group("tasks"), path);
  requests.vocabulary = file.attribute<std::int64_t>("vocab_size");
  requests.truncated = file.attribute<std::int64_t>("truncated");
  requests.tokenizer_sha256 = file.attribute<std::string>("tokenizer_sha256");
  requests.requests_sha256 = file.attribute<std::string>("requests_sha256");
  requests.harness = file.attribute<std::string>("harness");
  return requests;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

void check_hash(const Requests& requests) {
  Sha256 hash;
  hash.add(bytes_of(requests.tokens)).add(bytes_of(requests.offset));
  for (const Column& column : columns) hash.add(bytes_of(requests.*column.values));
  for (const RequestTask& task : requests.tasks)
    hash.add(task.name + (task.rule == AnswerRule::greedy ? "\ngreedy\n" : "\nlikeliest\n") +
             (task.normalized ? "1\n" : "0\n"));
  const std::string found = hash.hex();
  if (found != requests.requests_sha256)
    refuse(requests.path, "the requests were changed: their SHA-256 is " + found +
                              ", but the file says " + requests.requests_sha256);
}

void check_ranges(const Requests& requests) {
  const auto& path = requests.path;
  if (requests.context.empty()) refuse(path, "holds no requests");
  const auto& offset = requests.offset;
  if (offset.size() != requests.context.size() + 1 || offset.front() != 0 ||
      offset.back() != static_cast<std::int64_t>(requests.tokens.size()))
    refuse(path, "the dataset \"offset\" does not fit the tokens");
  for (std::size_t i = 0; i < requests.context.size(); ++i) {
    const auto at = [&](const std::string& sentence) {
      refuse(path, "request " + std::to_string(i) + " " + sentence);
    };
    if (offset[i + 1] < offset[i] || requests.context[i] < 1 ||
        requests.context[i] >= offset[i + 1] - offset[i])
      at("needs at least one token of context and one of continuation");
    if (requests.task[i] < 0 || requests.task[i] >= static_cast<int>(requests.tasks.size()))
      at("belongs to task " + std::to_string(requests.task[i]) + " of " +
         std::to_string(requests.tasks.size()));
    if (requests.choice[i] < 0 || requests.gold[i] < 0) at("has no choice or no gold choice");
    const RequestTask& task = requests.tasks[static_cast<std::size_t>(requests.task[i])];
    if (task.normalized && requests.characters[i] < 1) at("has a choice without text");
  }
  for (std::size_t i = 0; i < requests.tokens.size(); ++i)
    if (requests.tokens[i] < 0 || requests.tokens[i] >= requests.vocabulary)
      refuse(path, "token " + std::to_string(requests.tokens[i]) + " at " + std::to_string(i) +
                       " lies outside the vocabulary of " + std::to_string(requests.vocabulary));
}

/// Documents stand together, with choices 0, 1, ... in order, one of them gold.
void check_documents(const Requests& requests) {
  std::set<std::pair<int, int>> seen;
  const std::size_t count = requests.context.size();
  for (std::size_t first = 0, last = 0; first < count; first = last) {
    const auto same = [&](const std::vector<std::int32_t>& column) {
      return column[last] == column[first];
    };
    while (last < count && same(requests.task) && same(requests.document) && same(requests.gold) &&
           requests.choice[last] == static_cast<std::int32_t>(last - first))
      ++last;
    const auto document = std::pair(requests.task[first], requests.document[first]);
    if (last == first || !seen.insert(document).second ||
        requests.gold[first] >= static_cast<std::int32_t>(last - first))
      refuse(requests.path,
             "document " + std::to_string(document.second) + " of task " +
                 requests.tasks[static_cast<std::size_t>(document.first)].name +
                 " is not complete: its choices must stand together, 0, 1, ..., one of them gold");
  }
}

}  // namespace

Requests read_requests(const std::filesystem::path& path) {
  const MappedFile readable(path);  // says why a file cannot be opened better than HDF5 does
  if (!H5File::is_hdf5(path)) refuse(path.string(), "is not an HDF5 file");
  try {
    Requests requests = read(path.string());
    check_ranges(requests);
    check_documents(requests);
    check_hash(requests);
    return requests;
  } catch (const LibraryError& error) {
    throw UserError(std::string(error.what()) + " (damaged request file?)");
  }
}

void check_requests(const Requests& requests, const ModelSpec& spec,
                    const std::string& model_tokenizer_sha256) {
  if (!model_tokenizer_sha256.empty() && requests.tokenizer_sha256 != model_tokenizer_sha256)
    refuse(requests.path, "was made with another tokenizer (tokenizer.json " +
                              requests.tokenizer_sha256 + ", the model's is " +
                              model_tokenizer_sha256 + ")");
  if (requests.vocabulary > spec.vocabulary)
    refuse(requests.path, "has a vocabulary of " + std::to_string(requests.vocabulary) +
                              ", but the model only one of " + std::to_string(spec.vocabulary));
  Index longest = 0;
  for (Index i = 0; i < requests.count(); ++i)
    longest = std::max(longest, static_cast<Index>(requests.input(i).size()));
  if (longest > spec.max_positions)
    refuse(requests.path, "has requests of " + std::to_string(longest) +
                              " tokens, but the model only " + std::to_string(spec.max_positions) +
                              " positions");
}

std::string request_file_name(const std::filesystem::path& path) {
  std::filesystem::path name = path.filename();
  if (name.extension() == ".h5") name = name.stem();
  if (name.extension() == ".requests") name = name.stem();
  return name.string();
}

}  // namespace constrictor::io
