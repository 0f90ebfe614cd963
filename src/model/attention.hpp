// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/attention_form.hpp"
#include "data/model_spec.hpp"

namespace constrictor::model {

/// Scale, window and soft cap of a block's scores.
AttentionForm attention_form(const ModelSpec& spec, Index block);

/// Causal attention with grouped queries: query head h reads key-value head h / (heads / kv_heads).
///   y_h = softmax(capped(scale q_h K')) V       per sequence of `length` tokens, float32
///   throughout
///
///   query       [tokens x heads * head_dim]      after RoPE
///   key, value  [tokens x kv_heads * head_dim]   key after RoPE
///   result      [tokens x heads * head_dim]
Matrix<float> attention(const ModelSpec& spec, const AttentionForm& form, Index length,
                        View<const float> query, View<const float> key, View<const float> value);

}  // namespace constrictor::model
