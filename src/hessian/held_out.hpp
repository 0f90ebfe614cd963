// SPDX-License-Identifier: Apache-2.0
#pragma once
// How much of the drift to correct, from calibration sequences that the statistics leave out
// (`alpha_rule: held_out`): drift generalises only in part, and less the fewer sequences there are.

#include <vector>

#include "data/factored.hpp"
#include "hessian/statistics.hpp"

namespace constrictor::hessian {

/// The alpha in [0, 1] whose target W* = W + alpha W S comes closest to W X on the fold,
///   |W* X~ - W X|² = alpha² tr(W S H_f S' W') - 2 alpha tr(W S D_f' W') + const,
/// summed over all rows of `weights` [rows x in each]. Unquantized targets: nothing is solved for.
///   S     [in x in] D H^-1 of the statistics, without alpha
///   fold  H_f, D_f, raw
double best_alpha(const std::vector<View<const float>>& weights, View<const float> S,
                  const InputStatistics& fold);

/// Turns a side that was factored with alpha 1 to another one: D, shift and P are linear in it.
void set_alpha(double alpha, InputSide<float>& side);

}  // namespace constrictor::hessian
