// SPDX-License-Identifier: Apache-2.0
#include "io/run_file.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/h5.hpp"
#include "io/mapped_file.hpp"

namespace constrictor::io {
namespace {

constexpr std::int64_t run_schema = 1;

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// A name that HDF5 takes for one group: no path.
std::string group_name(std::string dataset) {
  std::replace(dataset.begin(), dataset.end(), '/', '_');
  return dataset.empty() || dataset == "." ? "unnamed" : dataset;
}

void write_scores(H5Group& group, const Scores& scores) {
  group.set_attribute("dataset", scores.dataset);
  group.set_attribute("tokens_sha256", scores.tokens_sha256);
  group.set_attribute("windows", scores.windows());
  group.set_attribute("length", scores.length);
  group.write("nll", scores.nll);
  if (!scores.nll.empty()) group.set_attribute("perplexity", std::exp(mean(scores.nll)));
  if (!scores.full_nll.empty()) {
    group.set_attribute("full_perplexity", std::exp(mean(scores.full_nll)));
    group.write("full_nll", scores.full_nll);
  }
  if (!scores.kl.empty()) {
    group.set_attribute("kl_to_full", mean(scores.kl));
    group.set_attribute("top1_agreement", scores.top1_agreement);
    group.write("kl", scores.kl);
  }
}

Scores read_scores(const H5Group& group) {
  Scores scores;
  scores.dataset = group.attribute<std::string>("dataset");
  scores.tokens_sha256 = group.attribute<std::string>("tokens_sha256");
  scores.length = group.attribute<std::int64_t>("length");
  scores.nll = group.vector<double>("nll");
  if (group.has("full_nll")) scores.full_nll = group.vector<double>("full_nll");
  if (group.has("kl")) {
    scores.kl = group.vector<double>("kl");
    scores.top1_agreement = group.attribute<double>("top1_agreement");
  }
  return scores;
}

Fact read_fact(const H5Group& group, const std::string& name) {
  switch (group.attribute_kind(name)) {
    case H5Kind::text:
      return group.attribute<std::string>(name);
    case H5Kind::integer:
      return group.attribute<std::int64_t>(name);
    default:
      return group.attribute<double>(name);
  }
}

RunFile read(const H5File& file) {
  RunFile run;
  for (const std::string& name : file.attribute_names())
    if (name != "schema") run.provenance[name] = read_fact(file, name);
  for (const std::string& name : file.group("blocks").names())
    run.blocks.push_back(std::stoll(name));
  const H5Group evaluation = file.group("evaluation");
  for (const std::string& name : evaluation.names()) {
    Scores scores = read_scores(evaluation.group(name));
    run.scores[scores.dataset] = std::move(scores);
  }
  if (file.has("requests")) run.requests = file.group("requests").names();
  return run;
}

std::string block_name(Index block) {
  CONSTRICTOR_REQUIRE(block >= 0, block);
  const std::string digits = std::to_string(block);
  return std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
}

}  // namespace

std::string block_file_name(Index block) { return block_name(block) + ".h5"; }

void write_run_file(const std::filesystem::path& path, const RunFile& run) {
  write_h5_atomically(path, [&](H5File& file) {
    file.set_attribute("schema", run_schema);
    for (const auto& [name, fact] : run.provenance)
      std::visit([&, key = name](const auto& value) { file.set_attribute(key, value); }, fact);
    H5Group blocks = file.create_group("blocks");
    for (const Index block : run.blocks)
      blocks.link_external(block_name(block), "blocks/" + block_file_name(block), "/");
    H5Group evaluation = file.create_group("evaluation");
    for (const auto& [dataset, scores] : run.scores) {
      H5Group group = evaluation.create_group(group_name(dataset));
      write_scores(group, scores);
    }
    if (run.requests.empty()) return;
    H5Group requests = file.create_group("requests");
    for (const std::string& name : run.requests)
      requests.link_external(name, "requests/" + name + ".h5", "/");
  });
}

RunFile read_run_file(const std::filesystem::path& path) {
  const MappedFile readable(path);  // says why a file cannot be opened better than HDF5 does
  try {
    const H5File file = H5File::open(path);
    const auto schema = file.attribute<std::int64_t>("schema");
    if (schema != run_schema)
      throw UserError(path.string() + ": has run schema " + std::to_string(schema) +
                      "; this program knows 1");
    return read(file);
  } catch (const LibraryError& error) {
    throw UserError(path.string() + ": is damaged or no run file (" + error.what() + ")");
  } catch (const std::logic_error&) {  // std::stoll
    throw UserError(path.string() + ": is damaged (a block that has no number)");
  }
}

}  // namespace constrictor::io
