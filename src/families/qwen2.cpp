// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Qwen2 and Qwen2.5 (Yang et al., 2024): biases of query, key and value; late blocks may see a
/// window.
Family qwen2() {
  return {.model_type = "qwen2",
          .architecture = "Qwen2ForCausalLM",
          .names = names_of_llama(),
          .kv_heads = {"num_key_value_heads", 32},
          .head_dim = {"head_dim"},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .window = {.rule = WindowRule::from_block,
                     .fallback = 4096,
                     .use_key = "use_sliding_window",
                     .count_key = "max_window_layers",
                     .count = 28},
          .activation_key = "hidden_act",
          .activation = Activation::silu,
          .activation_words = {"silu", "swish"},
          .qkv_bias = {"", true}};
}

}  // namespace constrictor::families
