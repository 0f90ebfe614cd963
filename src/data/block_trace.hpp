// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/attention_form.hpp"
#include "core/matrix.hpp"

namespace constrictor {

/// What one expert saw: its tokens, in rising order, and the input of its last layer for them.
struct ExpertTrace {
  std::vector<Index> tokens;  // rows of mlp_input
  Matrix<float> down_input;   // [tokens of the expert x feed_forward]
};

/// Queries and keys in front of the RMS norm inside their heads, for models that have one, and what
/// stands between them and the scores: q = R_l (w ⊙ u / sqrt(mean(u²) + eps)).
struct HeadNormTrace {
  Matrix<float> query;                          // [tokens x heads * head_dim]
  Matrix<float> key;                            // [tokens x kv_heads * head_dim]
  std::vector<float> query_weight, key_weight;  // [head_dim]
  std::vector<float> frequencies;               // radians per position, [head_dim / 2]
  double eps = 0;
};

/// What one block saw on its way; every matrix is [tokens x width], tokens = sequences * length.
/// With bfloat16 products the layers' inputs hold bfloat16 values, exactly those that were
/// multiplied.
struct BlockTrace {
  Matrix<float> attention_input;  // [tokens x hidden]             input of query, key and value
  Matrix<float> query;            // [tokens x heads * head_dim]   after RoPE, not scaled
  Matrix<float> key;              // [tokens x kv_heads * head_dim] after RoPE
  Matrix<float> value;            // [tokens x kv_heads * head_dim]
  Matrix<float> output_input;     // [tokens x heads * head_dim]   attention, heads side by side
  Matrix<float> mlp_input;        // [tokens x hidden]             input of (gate and) up
  Matrix<float> down_input;       // [tokens x feed_forward]; empty with experts
  std::vector<ExpertTrace> experts;  // [experts], or empty
  Matrix<float> output;           // [tokens x hidden]             input of the next block
  AttentionForm attention;        // how queries and keys make probabilities
  HeadNormTrace head_norm;        // empty without such a norm
};

}  // namespace constrictor
