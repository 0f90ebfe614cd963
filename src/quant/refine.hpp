// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/grid.hpp"
#include "quant/loss.hpp"

namespace constrictor::quant {

struct Refinement {
  double loss_before = 0;        // L of the scales that came in
  double loss_after = 0;         // L of those that stand in the end
  std::vector<double> row_loss;  // [rows] contributions to loss_after
};

/// Scale refinement: codes fixed, scales by exact coordinate descent on L (TurboBoA feature 3 for
/// one group; stage 2 of the two-stage method, arXiv 2602.02126, for H_out = 1; here for every
/// combination).
///
///   s[i,g] += (R[i,g] . Z[i,g]) / (H_out[i,i] Z[i,g] H_in[g,g] Z[i,g]'),   R refreshed after each
///   step
///
/// rows in `row_order` (position -> row; empty = as they stand) and groups in order, `passes`
/// times (0: only the losses are found); a group whose denominator is not positive is skipped.
/// L never rises: when rounding makes it rise all the same, the scales from before are restored.
template <class T>
Refinement refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes,
                         Index passes, const std::vector<std::int32_t>& row_order, Grid<T>& grid);

}  // namespace constrictor::quant
