// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Qwen3 (Yang et al., 2025): queries and keys are normed inside the head, no biases.
Family qwen3() {
  Names names = names_of_llama();
  names.query_norm = "self_attn.q_norm";
  names.key_norm = "self_attn.k_norm";
  return {.model_type = "qwen3",
          .architecture = "Qwen3ForCausalLM",
          .names = names,
          .kv_heads = {"num_key_value_heads", 32},
          .head_dim = {"head_dim", 128},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .window = {.rule = WindowRule::from_block,
                     .fallback = 4096,
                     .use_key = "use_sliding_window",
                     .count_key = "max_window_layers",
                     .count = 28},
          .activation_key = "hidden_act",
          .activation = Activation::silu,
          .activation_words = {"silu", "swish"},
          .qkv_bias = {"attention_bias"},
          .output_bias = {"attention_bias"}};
}

}  // namespace constrictor::families
