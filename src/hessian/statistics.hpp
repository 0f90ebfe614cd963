// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums -> the statistics of the objective: H_in = (2/T) X~ X~', D = (2/T) (X - X~) X~', H_out per
// head.

#include <span>

#include "data/block_sums.hpp"

namespace constrictor::hessian {

/// Where a layer's input side comes from.
enum class Place {
  attention_input,
  output_input,
  mlp_input,
  down_input,
  value_head,
  expert_mlp,
  expert_down
};

struct InputStatistics {
  Matrix<float> H;  // [in x in] raw H_in, both triangles
  Matrix<float> D;  // [in x in] raw drift; empty without
};

/// An expert that fewer tokens were routed to than a layer has inputs would have a singular H_in:
/// it gets the statistics of all experts of the block together.
bool shares_statistics(const BlockSums& sums, Index expert, Index inputs);

/// Statistics of one place; for `value_head` those of key-value head `head`, the mean over its
/// query heads; for the places of experts those of expert `head`, see `shares_statistics`.
InputStatistics input_statistics(const SumShape& shape, const BlockSums& sums, Place place,
                                 Index head = 0);

/// H_out of the query heads of a key-value head: mean over positions l of R_l' M_K R_l; of query
/// head `kv_head` where queries have a norm inside the head (then the rotations are in the sums).
///   frequencies  radians per position of each pair of a head's elements; empty without RoPE (R_l =
///   1)
Matrix<float> query_output_hessian(const SumShape& shape, const BlockSums& sums, Index kv_head,
                                   std::span<const float> frequencies, Index length);
/// H_out of a key head: mean over positions of R_l' M_Q R_l, M_Q the mean over the group's query
/// heads.
Matrix<float> key_output_hessian(const SumShape& shape, const BlockSums& sums, Index kv_head,
                                 std::span<const float> frequencies, Index length);
/// H_out of a value head (`value_row_metric: output`, BoA eq. 9): mean over the group of W_o,h'
/// W_o,h.
///   output_weight  [hidden x heads * head_dim]
Matrix<float> value_output_hessian(const SumShape& shape, View<const float> output_weight,
                                   Index kv_head);

/// mean over l = 0 .. length - 1 of R_l' M R_l, with R_l the rotation of position l (halves
/// paired).
Matrix<double> mean_rotated_back(View<const double> M, std::span<const float> frequencies,
                                 Index length);

}  // namespace constrictor::hessian
