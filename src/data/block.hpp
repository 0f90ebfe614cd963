// SPDX-License-Identifier: Apache-2.0
#pragma once
// One transformer block and the parts around the blocks, as they come from the model folder.

#include <string>
#include <vector>

#include "core/bfloat16.hpp"
#include "core/error.hpp"
#include "core/matrix.hpp"

namespace constrictor {

/// What a linear layer does in its block; decides which Hessians it gets. `up` is OPT's fc1, `down`
/// its fc2.
enum class Role { query, key, value, output, gate, up, down };

/// One linear layer: y = x W' + bias.
struct Layer {
  std::string name;  // as in the model, without the block's prefix: "self_attn.q_proj"
  Role role = Role::query;
  Matrix<float> weight;          // [out x in]
  std::vector<float> bias;       // [out], or empty
  Matrix<bfloat16> weight_bf16;  // [out x in], only when products are bfloat16
  Index expert = -1;             // which one of a mixture of experts; -1: used for every token
};

/// RMSNorm (bias empty) or LayerNorm.
struct Norm {
  std::vector<float> weight;  // [hidden]; what the norm multiplies with: Gemma's stored one plus 1
  std::vector<float> bias;    // [hidden], or empty
};

/// Layers stand in the order query, key, value, output, (gate,) up, down; with experts gate, up and
/// down of the first one, of the second one, ...
struct Block {
  Index index = 0;
  std::vector<Layer> layers;
  Layer router;         // [experts x hidden], never quantized; without weight where all layers are
                        // used for every token
  Norm attention_norm;  // Llama: input_layernorm; OPT: self_attn_layer_norm
  Norm mlp_norm;        // Llama: post_attention_layernorm; OPT: final_layer_norm of the block
  Norm attention_post_norm, mlp_post_norm;  // of a sublayer's output (ModelSpec::norm_after)
  Norm query_norm, key_norm;                // [head_dim], inside each head (ModelSpec::qk_norm)

  const Layer* find(Role role) const {
    for (const Layer& layer : layers)
      if (layer.role == role) return &layer;
    return nullptr;
  }
  const Layer& layer(Role role) const {
    const Layer* found = find(role);
    CONSTRICTOR_REQUIRE(found != nullptr, static_cast<int>(role));
    return *found;
  }
  const Layer& layer(Role role, Index expert) const {
    for (const Layer& layer : layers)
      if (layer.role == role && layer.expert == expert) return layer;
    throw Bug("a block without expert " + std::to_string(expert));
  }
};

/// Everything before the first and after the last block.
struct ModelEnds {
  Matrix<float> token_embedding;     // [vocabulary x embedding_width]
  Matrix<float> position_embedding;  // OPT: [max_positions + 2 x hidden]; else empty
  Matrix<float> project_in;   // OPT with embedding_width != hidden: [hidden x embedding_width]
  Matrix<float> project_out;  // the same: [embedding_width x hidden]
  Norm final_norm;            // weight empty where the model has none
  Matrix<float> lm_head;      // [vocabulary x embedding_width]; empty when tied
  const Matrix<float>& head() const { return lm_head.empty() ? token_embedding : lm_head; }
};

}  // namespace constrictor
