// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

Names names_of_llama() {
  return {.prefixes = {"model.", ""},
          .query = "self_attn.q_proj",
          .key = "self_attn.k_proj",
          .value = "self_attn.v_proj",
          .output = "self_attn.o_proj",
          .gate = "mlp.gate_proj",
          .up = "mlp.up_proj",
          .down = "mlp.down_proj",
          .attention_norm = "input_layernorm",
          .mlp_norm = "post_attention_layernorm",
          .final_norm = "norm"};
}

/// Llama 1 to 3.2 (Touvron et al., 2023; Grattafiori et al., 2024).
Family llama() {
  return {.model_type = "llama",
          .architecture = "LlamaForCausalLM",
          .names = names_of_llama(),
          .kv_heads = {"num_key_value_heads"},
          .head_dim = {"head_dim"},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .activation_key = "hidden_act",
          .activation = Activation::silu,
          .activation_words = {"silu", "swish"},
          .qkv_bias = {"attention_bias"},
          .output_bias = {"attention_bias"},
          .mlp_bias = {"mlp_bias"}};
}

}  // namespace constrictor::families
