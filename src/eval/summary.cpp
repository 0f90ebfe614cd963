// SPDX-License-Identifier: Apache-2.0
#include "eval/summary.hpp"

#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

namespace constrictor::eval {
namespace {

double mean(const std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// "wikitext2-test" of "tokens/wikitext2-test.tokens.h5".
std::string dataset_name(const std::string& path) {
  std::filesystem::path name = std::filesystem::path(path).filename();
  if (name.extension() == ".h5") name = name.stem();
  if (name.extension() == ".tokens") name = name.stem();
  return name.string();
}

}  // namespace

Scores collected(const Tokens& tokens, std::span<const WindowScore> windows, Compared compared) {
  Scores scores;
  scores.dataset = dataset_name(tokens.path);
  scores.tokens_sha256 = tokens.tokens_sha256;
  scores.length = tokens.length();
  Index agree = 0;
  for (const WindowScore& window : windows) {
    scores.nll.push_back(window.nll);
    if (compared == Compared::no) continue;
    scores.full_nll.push_back(window.full_nll);
    scores.kl.push_back(window.kl);
    agree += window.agree;
  }
  const Index positions = scores.windows() * scores.length;
  if (compared == Compared::yes && positions > 0)
    scores.top1_agreement = static_cast<double>(agree) / static_cast<double>(positions);
  return scores;
}

double perplexity(const Scores& scores) { return std::exp(mean(scores.nll)); }
double full_perplexity(const Scores& scores) { return std::exp(mean(scores.full_nll)); }
double mean_kl(const Scores& scores) { return mean(scores.kl); }

}  // namespace constrictor::eval
