// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <random>
#include <span>

#include "core/matrix.hpp"

namespace constrictor::eval {

struct SamplingSettings {
  double temperature = 0;  // 0: greedy
  Index top_k = 0;         // only the k likeliest tokens; 0: all
  std::uint64_t seed = 0;
};

/// Draws one token after the other. Equal logits give equal tokens on every machine: generator and
/// division into intervals are our own, not those of a standard library, and probabilities are
/// whole multiples of 2^-32, so that the last digit of an exponential has no say.
class Sampler {
 public:
  explicit Sampler(const SamplingSettings& settings)
      : settings_(settings), generator_(settings.seed) {}

  /// Greedy: the likeliest token, the first of equals. Else token v with probability
  /// e^{y_v / temperature} / Σ, over the top_k largest logits (the first of equals).
  Index draw(std::span<const float> logits);

 private:
  SamplingSettings settings_;
  std::mt19937_64 generator_;
};

}  // namespace constrictor::eval
