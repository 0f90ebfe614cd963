// SPDX-License-Identifier: Apache-2.0
#pragma once
// Everything one block's Hessians are made of, as plain sums over tokens: sums of lanes and ranks
// add up. x is the layer input in the full-precision model, x~ the one behind already quantized
// blocks.

#include <algorithm>
#include <span>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

/// Sums of one place where linear layers take their input.
struct InputSums {
  Matrix<float> gram;   // [in x in]  Σ x~ x~'; upper triangle (tiles), the rest undefined
  Matrix<float> cross;  // [in x in]  Σ x x~'; empty without drift
};

/// Which sums a run needs, and their sizes.
struct SumShape {
  Index hidden = 0;
  Index attention_width = 0;  // heads * head_dim, input of the output layer
  Index feed_forward = 0;
  Index heads = 0;
  Index kv_heads = 0;
  Index head_dim = 0;
  bool drift = false;            // cross sums
  bool value_attention = false;  // attention-weighted sums per key-value head
  bool row_metric = false;       // sums of queries and keys
  bool softmax_metric = false;   // sums of what the softmax makes of errors in queries and keys
  Index metric_positions = 0;    // queries of a sequence that count for it; 0 = all
  Index experts = 0;     // of a mixture: each has sums of its own tokens in place of the MLP's
  bool qk_norm = false;  // their norm inside the head enters those sums, hessian/head_norm.hpp
  // Places with sums: all of them, or those of one step of a block.
  bool attention_input = true, output_input = true, mlp_input = true, down_input = true;

  /// Matrices in BlockSums::key_gram: with a norm inside the head, each query head has its own.
  Index key_grams() const { return qk_norm ? heads : kv_heads; }
};

/// The sums of held-out sequences: inputs and their drift only.
inline SumShape fold_of(SumShape shape) {
  shape.row_metric = shape.softmax_metric = false;
  return shape;
}

struct BlockSums {
  InputSums attention_input, output_input, mlp_input, down_input;
  std::vector<InputSums> value;  // [kv_heads], each [hidden x hidden]: Σ over query heads of (A
                                 // x~)(A x~)', (A_full x)(A x~)'
  std::vector<Matrix<float>>
      query_gram;  // [kv_heads], each [d x d]: Σ over the group's query heads of q q', after RoPE
  std::vector<Matrix<float>> key_gram;      // [key_grams], each [d x d]: Σ k k', after RoPE
  std::vector<Matrix<float>> query_metric;  // [heads], each [d x d], see hessian/softmax_metric.hpp
  std::vector<Matrix<float>> key_metric;    // [kv_heads], each [d x d]; upper triangles like gram
  std::vector<InputSums> expert_mlp, expert_down;  // [experts], of the tokens that each is used for
  std::vector<Index> tokens;  // all of them, then those of each expert; travels like the others

  /// Sums of nothing yet: the first chunk overwrites what the matrices hold (they are as large as
  /// the weights, and there is one set per lane). A set that stays without chunk needs `clear`.
  explicit BlockSums(const SumShape& shape) : tokens(static_cast<std::size_t>(1 + shape.experts)) {
    const auto square = [](Index n) { return Matrix<float>::uninitialized(n, n); };
    const auto place = [&](Index in) {
      return InputSums{square(in), shape.drift ? square(in) : Matrix<float>()};
    };
    if (shape.attention_input) attention_input = place(shape.hidden);
    if (shape.output_input) output_input = place(shape.attention_width);
    for (Index e = 0; e < shape.experts; ++e) {
      if (shape.mlp_input) expert_mlp.push_back(place(shape.hidden));
      if (shape.down_input) expert_down.push_back(place(shape.feed_forward));
    }
    if (shape.mlp_input && shape.experts == 0) mlp_input = place(shape.hidden);
    if (shape.down_input && shape.experts == 0) down_input = place(shape.feed_forward);
    if (shape.softmax_metric) {
      for (Index h = 0; h < shape.heads; ++h) query_metric.push_back(square(shape.head_dim));
      for (Index h = 0; h < shape.kv_heads; ++h) key_metric.push_back(square(shape.head_dim));
    }
    for (Index h = 0; h < shape.kv_heads; ++h) {
      if (shape.value_attention) value.push_back(place(shape.hidden));
      if (shape.row_metric) query_gram.push_back(square(shape.head_dim));
    }
    for (Index h = 0; shape.row_metric && h < shape.key_grams(); ++h)
      key_gram.push_back(square(shape.head_dim));
  }

  /// 0 before the first chunk, 1 after it: what products multiply the old sums with.
  float beta() const { return tokens[0] == 0 ? 0.f : 1.f; }
  /// Begins anew; the matrices are overwritten by the first chunk.
  void start() { tokens.assign(tokens.size(), 0); }
  void clear() {
    start();
    for_each_matrix([](Matrix<float>& m) { m.fill(0); });
  }

  /// Calls fn(Matrix<float>&) for every matrix in a fixed order.
  template <class Function>
  void for_each_matrix(Function&& fn) {
    const auto place = [&](InputSums& sums) {
      if (!sums.gram.empty()) fn(sums.gram);
      if (!sums.cross.empty()) fn(sums.cross);
    };
    for (InputSums* sums : {&attention_input, &output_input, &mlp_input, &down_input}) place(*sums);
    for (auto* several : {&value, &expert_mlp, &expert_down})
      for (InputSums& sums : *several) place(sums);
    for (auto& m : query_gram) fn(m);
    for (auto& m : key_gram) fn(m);
    for (auto& m : query_metric) fn(m);
    for (auto& m : key_metric) fn(m);
  }
};

/// Bytes of one set of sums.
inline Index bytes_of_sums(const SumShape& s) {
  const auto place = [](bool wanted, Index in) { return wanted ? in * in : 0; };
  const Index places = place(s.attention_input, s.hidden) +
                       place(s.output_input, s.attention_width) +
                       std::max<Index>(s.experts, 1) *
                           (place(s.mlp_input, s.hidden) + place(s.down_input, s.feed_forward)) +
                       (s.value_attention ? s.kv_heads * s.hidden * s.hidden : 0);
  const Index metrics = (s.row_metric ? s.kv_heads + s.key_grams() : 0) +
                        (s.softmax_metric ? s.heads + s.kv_heads : 0);
  return 4 * (places * (s.drift ? 2 : 1) + metrics * s.head_dim * s.head_dim);
}

}  // namespace constrictor
