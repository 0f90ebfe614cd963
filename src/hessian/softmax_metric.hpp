// SPDX-License-Identifier: Apache-2.0
#pragma once
// Row metrics of query and key layers that keep the softmax (`row_metric: softmax`): what errors in
// queries and keys make of the attention's output, to first order.
//
// With a_lm the probabilities of query position l, v_m the rows of values, F' F = W_o,h' W_o,h and
// vbar_l = Σ_m a_lm v_m, an error d of query l moves the output by F M_l d / √d_h, and an error d
// of key m moves that of position l by a_lm F (v_m - vbar_l) q_l' d / √d_h:
//
//   M_l = Σ_m a_lm (v_m - vbar_l) k_m'                                        (d_h x d_h)
//   query head h   Σ_l R_l' M_l' F' F M_l R_l
//   key head       Σ_h Σ_m R_m' (Σ_l a_lm² |F (v_m - vbar_l)|² q_l q_l') R_m   over the group's h
//
// R_l takes an error of the layer's output row to one behind RoPE. Terms between different keys are
// dropped. Positions l: all, or an evenly spread part of them. Everything in float32.

#include <span>
#include <vector>

#include "data/block_sums.hpp"
#include "data/block_trace.hpp"
#include "kernels/rope.hpp"

namespace constrictor::hessian {

/// Query positions that count: all `length` of them (`wanted` 0 or more than there are), or
/// `wanted`, evenly spread, the last position among them; ascending.
std::vector<Index> metric_positions(Index length, Index wanted);

/// What the sums need besides a chunk's trace.
struct SoftmaxMetric {
  std::vector<Matrix<float>> roots;  // [heads] F [d x d]
  kernels::RopeTable rope;           // empty: no RoPE
  std::vector<Index> positions;
};
///   output_weight  [hidden x heads * d]
///   frequencies    see hessian/statistics.hpp
SoftmaxMetric softmax_metric(const SumShape& shape, View<const float> output_weight,
                             std::span<const float> frequencies, Index length);

/// Adds one chunk of whole sequences to sums.query_metric and sums.key_metric (upper triangles).
void add_softmax_metric(const SoftmaxMetric& metric, const SumShape& shape, const BlockTrace& quant,
                        Index length, BlockSums& sums);

/// Sums -> H_out: mean over tokens, 1/d_h for the scores' scale; `sum` one head's of either kind.
Matrix<float> softmax_output_hessian(const SumShape& shape, const BlockSums& sums,
                                     const Matrix<float>& sum, Index length);

}  // namespace constrictor::hessian
