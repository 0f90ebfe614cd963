// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <vector>

#include "eval/scoring.hpp"

namespace constrictor::eval {

/// How well one token was predicted.
struct TokenScore {
  double log_probability = 0;  // nats
  std::uint8_t likeliest = 0;  // 1: no token is more likely (the first of equals)
};

/// Scores tokens, each against the logits of one row.
///
///   x        [tokens x width]   head inputs at the positions before the tokens
///   targets  [tokens]
///
/// Logits exist for `rows_of_logits(vocabulary)` tokens at a time.
std::vector<TokenScore> score_tokens(const OutputHead& head, View<const float> x,
                                     std::span<const std::int32_t> targets);

}  // namespace constrictor::eval
