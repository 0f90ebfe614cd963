// SPDX-License-Identifier: Apache-2.0
// `constrictor generate` with token ids; without them analysis/generate.py takes the command.
#include <charconv>
#include <cmath>

#include "app/options.hpp"
#include "core/error.hpp"

namespace constrictor::app {
namespace {

/// "1,306,4658"
std::vector<std::int32_t> ids_of(const std::string& text, const std::string& option) {
  std::vector<std::int32_t> ids;
  const char *at = text.data(), *const end = at + text.size();
  while (at != end) {
    ids.emplace_back();
    const auto [next, error] = std::from_chars(at, end, ids.back());
    if (error != std::errc() || (next != end && *next != ',') || next + 1 == end)
      throw UserError("generate: " + option + " takes token ids with commas between them, not '" +
                      text + "'");
    at = next == end ? end : next + 1;
  }
  return ids;
}

}  // namespace

CommandLine parse_generate(const Texts& words) {
  CommandLine line;
  line.command = Command::generate;
  pipeline::GenerateOptions& options = line.generate;
  po::options_description all;
  all.add_options()("model", po::value(&line.model), "")("ids", po::value<std::string>(), "")(
      "stop", po::value<std::string>(), "")("tokens", po::value(&options.tokens), "")(
      "temperature", po::value(&options.sampling.temperature), "")(
      "top-k", po::value(&options.sampling.top_k), "")("seed", po::value(&options.sampling.seed),
                                                       "")("set", assignments(), "")(
      "run", po::value(&line.run_dir), "");
  const auto values = parsed(all, "run", words, "generate");
  options.prompt = ids_of(text_of(values, "ids"), "--ids");
  options.stops = ids_of(text_of(values, "stop"), "--stop");
  options.run_dir = line.run_dir;
  line.overrides = texts_of(values, "set");
  const auto& [temperature, top_k, seed] = options.sampling;
  if (line.run_dir.empty() == line.model.empty())
    throw UserError("generate: either a run folder or --model is needed");
  if (options.prompt.empty()) throw UserError("generate: --ids is empty");
  if (options.tokens < 1) throw UserError("generate: --tokens must be at least 1");
  if (top_k < 0) throw UserError("generate: --top-k must be at least 0 (0: all tokens)");
  if (!(temperature >= 0) || !std::isfinite(temperature))
    throw UserError("generate: --temperature must be at least 0 (0: the likeliest token)");
  for (const std::string& assignment : line.overrides)
    if (assignment.rfind("run.device=", 0) == 0 && assignment != "run.device=cpu")
      throw UserError("generate works on the CPU only; --set " + assignment + " cannot be");
  return line;
}

}  // namespace constrictor::app
