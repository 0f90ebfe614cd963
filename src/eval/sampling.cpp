// SPDX-License-Identifier: Apache-2.0
#include "eval/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace constrictor::eval {

Index Sampler::draw(std::span<const float> logits) {
  CONSTRICTOR_REQUIRE(!logits.empty());
  const auto likeliest = std::max_element(logits.begin(), logits.end());
  if (settings_.temperature == 0) return likeliest - logits.begin();

  std::vector<Index> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), Index{0});
  const auto likelier = [&](Index a, Index b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  const auto count = static_cast<Index>(tokens.size());
  const Index kept = settings_.top_k > 0 ? std::min(settings_.top_k, count) : count;
  if (kept < count) {
    std::nth_element(tokens.begin(), tokens.begin() + kept, tokens.end(), likelier);
    tokens.resize(static_cast<std::size_t>(kept));
    std::sort(tokens.begin(), tokens.end());
  }
  std::vector<std::uint64_t> weights;  // in units of 2^-32 of the largest
  std::uint64_t total = 0;
  for (const Index token : tokens) {
    const double below = static_cast<double>(logits[static_cast<std::size_t>(token)]) - *likeliest;
    weights.push_back(
        static_cast<std::uint64_t>(std::lround(std::exp(below / settings_.temperature) * 0x1p32)));
    total += weights.back();
  }
  // A whole number below `total` without bias: what lies in the last, incomplete round is redrawn.
  const std::uint64_t rounds = ~std::uint64_t{0} / total;
  std::uint64_t drawn;
  do drawn = generator_();
  while (drawn >= rounds * total);
  drawn %= total;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (drawn < weights[i]) return tokens[i];
    drawn -= weights[i];
  }
  throw Bug("weights that do not add up to their sum");
}

}  // namespace constrictor::eval
