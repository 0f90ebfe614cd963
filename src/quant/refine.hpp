// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/grid.hpp"
#include "quant/loss.hpp"

namespace constrictor::quant {

/// Scale refinement: codes fixed, scales by exact coordinate descent on L (TurboBoA feature 3 for
/// one group; stage 2 of the two-stage method, arXiv 2602.02126, for H_out = 1; here for every
/// combination).
///
///   s[i,g] += (R[i,g] . Z[i,g]) / (H_out[i,i] Z[i,g] H_in[g,g] Z[i,g]'),   R refreshed after each
///   step
///
/// rows in `row_order` (position -> row; empty = as they stand) and groups in order, `passes`
/// times; a group whose denominator is not positive is skipped. L never rises: when rounding makes
/// it rise all the same, the scales from before are restored. Returns L of the scales that stand in
/// the end; `loss_before` is L of those that came in.
template <class T>
double refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes, Index passes,
                     const std::vector<std::int32_t>& row_order, double loss_before, Grid<T>& grid);

}  // namespace constrictor::quant
