// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "core/matrix.hpp"

namespace constrictor {

enum class Family { llama, opt };
enum class DType { float32, float16, bfloat16 };
enum class RopeScaling { none, linear, llama3 };

/// Rotary position embedding of the Llama family.
struct RopeSpec {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  double low_freq_factor = 1.0;         // llama3 only
  double high_freq_factor = 4.0;        // llama3 only
  Index original_max_positions = 8192;  // llama3 only
};

/// What config.json says about the architecture.
struct ModelSpec {
  Family family = Family::llama;
  DType dtype = DType::float32;  // of the block weights in the files
  Index blocks = 0;              // transformer blocks
  Index hidden = 0;              // width of the residual stream
  Index feed_forward = 0;
  Index heads = 0;     // query heads
  Index kv_heads = 0;  // key-value heads; heads % kv_heads == 0
  Index head_dim = 0;
  Index vocabulary = 0;
  Index max_positions = 0;
  Index embedding_width = 0;  // OPT's word_embed_proj_dim; else == hidden
  double norm_eps = 1e-5;
  RopeSpec rope;  // Llama
  bool tied_embeddings = false;
  bool norm_before = true;          // OPT: do_layer_norm_before
  bool final_norm = true;           // OPT: false when norms come after, or _remove_final_layer_norm
  std::string activation = "silu";  // Llama: silu; OPT: relu
  bool attention_bias = false;      // query, key, value and output have one
  bool mlp_bias = false;            // gate, up and down have one
};

}  // namespace constrictor
