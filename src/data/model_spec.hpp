// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

enum class DType { float32, float16, bfloat16 };
enum class RopeScaling { none, linear, llama3 };
enum class NormStyle { rms, layer };
enum class Activation { silu, gelu_tanh, relu };

/// Rotary position embedding.
struct RopeSpec {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  double low_freq_factor = 1.0;         // llama3 only
  double high_freq_factor = 4.0;        // llama3 only
  Index original_max_positions = 8192;  // llama3 only
};

/// What config.json says about the architecture, read by the family's description
/// (families/family.hpp). The forward pass depends on these features, not on the family's name.
struct ModelSpec {
  std::string family = "llama";  // model_type of config.json
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
  bool rotary = true;  // queries and keys are rotated by their position; else it is learned
  RopeSpec rope;
  std::optional<RopeSpec> local_rope;  // of blocks with a window, where it is another one
  Index window = 0;                // keys that a query of a sliding block sees; 0: no block slides
  std::vector<bool> sliding;       // [blocks], or empty: all slide
  double query_pre_attention = 0;  // scores are divided by its root; 0: by that of head_dim
  double attention_soft_cap = 0;   // c of c tanh(score / c); 0: none
  double final_soft_cap = 0;       // the same of the logits
  double embedding_scale = 1;      // what embedded tokens are multiplied with
  bool tied_embeddings = false;
  NormStyle norm_style = NormStyle::rms;
  bool norm_before = true;  // of a sublayer; else behind its residual sum
  bool norm_after = false;  // of a sublayer's output, before it is added to the residual stream
  bool qk_norm = false;     // queries and keys have an RMS norm inside the head, before RoPE
  bool final_norm = true;   // behind the last block
  bool gated = true;        // down(activation(gate) ⊙ up); else down(activation(up))
  Activation activation = Activation::silu;
  bool qkv_bias = false;     // query, key and value have one
  bool output_bias = false;  // the attention's output layer has one
  bool mlp_bias = false;     // gate, up and down have one
  Index experts = 0;         // in every block; 0: one MLP for all tokens
  Index experts_per_token = 0;
  bool renormalize_experts = true;  // shares of a token's experts add up to 1
};

}  // namespace constrictor
