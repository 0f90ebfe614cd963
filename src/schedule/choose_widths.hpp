// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::schedule {

/// One layer: widths it may have, ascending, and what each costs.
struct WidthOptions {
  Index weights = 0;
  std::vector<int> bits;
  std::vector<double> cost;
};

/// Numbers of the options, one a layer, that minimise the sum of the costs among all with
/// Σ weights * bits <= `most_bits` (a multiple-choice knapsack, by dynamic programming over bits
/// above the narrowest widths). Exact when the layers' sizes have a common divisor that leaves at
/// most 2^17 units of budget, as those of transformers do; otherwise sizes are rounded up to 2^17
/// parts of the budget, which keeps to the budget and may miss its last 1/2^17 a layer. Ties go to
/// the narrower width of the later layer. Sums are in the layers' order: the same on every rank.
/// UserError when even the narrowest widths take more than `most_bits`.
std::vector<std::size_t> choose_widths(const std::vector<WidthOptions>& layers, Index most_bits);

}  // namespace constrictor::schedule
