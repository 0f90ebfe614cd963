// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/attention_form.hpp"
#include "data/block.hpp"
#include "data/model_spec.hpp"
#include "kernels/rope.hpp"

namespace constrictor::model {

/// Keys and values that one block made of the tokens of one sequence so far, so that its next
/// tokens need not go through the model again.
class Past {
 public:
  /// Room for `most` tokens.
  Past(const ModelSpec& spec, const Block& block, Index most);

  Index tokens() const { return tokens_; }
  /// Rotations of the next `fresh` positions.
  kernels::RopeTable rope(Index fresh) const;
  /// Causal attention (model/attention.hpp) of the next tokens, which see each other and all before
  /// them; takes up their keys and values.
  ///   query  [fresh x heads * head_dim], key, value  [fresh x kv_heads * head_dim], rotated
  Matrix<float> attention(const ModelSpec& spec, const AttentionForm& form, View<const float> query,
                          View<const float> key, View<const float> value);

 private:
  Index tokens_ = 0;
  kernels::RopeTable table_;   // of all positions; empty for models without RoPE
  Matrix<float> key_, value_;  // [most x kv_heads * head_dim]
};

/// One block on the next tokens of one sequence, hidden [tokens x hidden], behind those that `past`
/// has seen; the block's output. The same as the whole sequence at once (model/forward.hpp), up to
/// the rounding of products.
Matrix<float> forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                      Products products, Past& past);

}  // namespace constrictor::model
