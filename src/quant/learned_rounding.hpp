// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/factored.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {

/// Where learning starts and what it judges by.
template <class T>
struct RoundingProblem {
  View<const T> W;            // [rows x in] full precision: dW = Q - W
  View<const T> compensated;  // [rows x in] W' as rounding met it
  const Grid<T>& grid;
  const InputSide<T>& input;
  const OutputSide<T>* output;  // of the head that the rows are; null = one-sided
};

struct LearnedCodes {
  Matrix<std::uint8_t> codes;  // [rows x in]
  Index steps = 0;             // taken
  Index undecided = 0;         // weights whose h had not reached 0 or 1
};

/// aespa (arXiv 2402.08958): every weight is rounded down or up, which of both is learned by Adam
/// on L itself:
///   Q = s (clamp(floor(W' / s) + h(v) + z) - z),   h(v) = clamp(1.2 sigmoid(v) - 0.1, 0, 1)
///   minimise  L(Q) / unit + lambda sum(1 - |2 h(v) - 1|^beta)
///   dL/dQ = 2 (H_out dW H_in - H_out W D)
/// from h = frac(W' / s), Q = W'. Without the second term in the first fifth of the steps, then
/// beta falls from 20 to 2. Ends early when every h is decided; codes are h rounded at 1/2.
///
/// `unit` makes lambda mean the same in every layer and width: ten times what it costs to move one
/// weight alone by a whole step, s^2 H_out[r,r] H_in[c,c]; the mean over a row, or over the head
/// where H_out ties the rows together. (Ten: with less, weights stay undecided; up to a hundred
/// times more makes no difference.)
template <class T>
LearnedCodes learn_rounding(const RoundingProblem<T>& problem, const QuantSpec& spec);

/// That unit of each row.
template <class T>
std::vector<double> rounding_units(const RoundingProblem<T>& problem);

}  // namespace constrictor::quant
