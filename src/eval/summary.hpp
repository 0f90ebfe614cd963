// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "data/scores.hpp"
#include "data/tokens.hpp"
#include "eval/scoring.hpp"

namespace constrictor::eval {

/// Whether the windows were scored against the full-precision model.
enum class Compared { no, yes };

/// The windows of one token file, in their order, as they are stored.
Scores collected(const Tokens& tokens, std::span<const WindowScore> windows, Compared compared);

/// exp of the mean over windows of the cross-entropy; NaN without windows.
double perplexity(const Scores& scores);
/// The same of the full-precision model; NaN when it was not scored.
double full_perplexity(const Scores& scores);
/// Mean over windows of KL(p_full || p_quant), nats; NaN when it was not scored.
double mean_kl(const Scores& scores);

}  // namespace constrictor::eval
