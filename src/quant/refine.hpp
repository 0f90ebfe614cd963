// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/fit.hpp"

namespace constrictor::quant {

struct RefineSettings {
  Index passes = 1;  // at most
  double gain = 0;  // no further pass after one that gained less than this share of what all passes
                    // have gained so far; rows decide on their own, with an output side heads
};

/// Scale refinement: codes fixed, scales by exact coordinate descent on L (TurboBoA feature 3 for
/// one group; stage 2 of the two-stage method, arXiv 2602.02126, for H_out = 1; here for every
/// combination).
///
///   s[i,g] += (R[i,g] . Z[i,g]) / (H_out[i,i] Z[i,g] H_in[g,g] Z[i,g]'),   R refreshed after each
///   step
///
/// rows in `fit.row_order` and groups in order; a group whose denominator is not positive is
/// skipped. L never rises: where rounding makes it rise all the same, the scales from before are
/// restored. Returns L after each pass.
template <class T>
std::vector<double> refine_scales(Fit<T>& fit, const RefineSettings& settings);

struct Refinement {
  double loss_before = 0;        // L of the scales that came in
  double loss_after = 0;         // L of those that stand in the end
  std::vector<double> row_loss;  // [rows] contributions to loss_after
};

/// The same for codes that nothing else is done with; `passes` = 0: only the losses are found.
template <class T>
Refinement refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes,
                         Index passes, const std::vector<std::int32_t>& row_order, Grid<T>& grid);

}  // namespace constrictor::quant
