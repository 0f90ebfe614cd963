// SPDX-License-Identifier: Apache-2.0
#include "io/answer_file.hpp"

#include <algorithm>
#include <system_error>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/h5.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t answer_schema = 1;
constexpr const char* unfinished_suffix = ".unfinished";

void write_common(H5File& file, const AnswerFacts& facts, const RequestAnswers& answers) {
  file.set_attribute("schema", answer_schema);
  for (const auto& [name, fact] : facts) file.set_attribute(name, fact);
  file.write("log_likelihood", answers.log_likelihood);
  file.write("greedy", answers.greedy);
}

void write_score(H5Group& group, const TaskScore& score) {
  group.set_attribute("documents", score.documents);
  group.set_attribute("acc", score.acc.value);
  group.set_attribute("acc_stderr", score.acc.error);
  if (!score.normalized) return;
  group.set_attribute("acc_norm", score.acc_norm.value);
  group.set_attribute("acc_norm_stderr", score.acc_norm.error);
}

/// The folder of a result may not be there yet.
void make_folder_of(const fs::path& path) {
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error)
    throw FileSystemError(path.parent_path().string() + ": cannot be created: " + error.message());
}

}  // namespace

fs::path unfinished_path(const fs::path& path) {
  return path.parent_path() / (path.stem().string() + unfinished_suffix + ".h5");
}

std::vector<std::string> answered_requests(const fs::path& run_folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run_folder / "requests", ignored))
    if (entry.path().extension() == ".h5" && entry.path().stem().extension() != unfinished_suffix)
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

void write_unfinished(const fs::path& path, const AnswerFacts& facts,
                      const RequestAnswers& answers) {
  make_folder_of(path);
  write_h5_atomically(unfinished_path(path), [&](H5File& file) {
    write_common(file, facts, answers);
    file.write("done", answers.done);
  });
}

std::optional<RequestAnswers> read_unfinished(const fs::path& path, const AnswerFacts& facts,
                                              Index requests) {
  const fs::path unfinished = unfinished_path(path);
  std::error_code ignored;
  if (!fs::exists(unfinished, ignored)) return std::nullopt;
  try {
    const H5File file = H5File::open(unfinished);
    if (file.attribute<std::int64_t>("schema") != answer_schema) return std::nullopt;
    for (const auto& [name, fact] : facts)
      if (file.attribute<std::string>(name) != fact) return std::nullopt;
    RequestAnswers answers(requests);
    const std::size_t count = answers.done.size();
    answers.log_likelihood = file.vector<double>("log_likelihood");
    answers.greedy = file.vector<std::uint8_t>("greedy");
    answers.done = file.vector<std::uint8_t>("done");
    if (answers.log_likelihood.size() != count || answers.greedy.size() != count ||
        answers.done.size() != count)
      return std::nullopt;
    return answers;
  } catch (const LibraryError&) {
    return std::nullopt;
  }
}

void write_answers(const fs::path& path, const AnswerFacts& facts, const Requests& requests,
                   const RequestAnswers& answers, const std::vector<TaskScore>& scores) {
  make_folder_of(path);
  write_h5_atomically(path, [&](H5File& file) {
    write_common(file, facts, answers);
    file.set_attribute("requests_name", fs::path(requests.path).filename().string());
    file.set_attribute("harness", requests.harness);
    file.set_attribute("truncated", requests.truncated);
    file.write("task", requests.task);
    file.write("document", requests.document);
    file.write("choice", requests.choice);
    file.write("gold", requests.gold);
    H5Group tasks = file.create_group("tasks");
    for (const TaskScore& score : scores) {
      H5Group group = tasks.create_group(score.name);
      write_score(group, score);
    }
  });
  std::error_code ignored;
  fs::remove(unfinished_path(path), ignored);
}

}  // namespace constrictor::io
