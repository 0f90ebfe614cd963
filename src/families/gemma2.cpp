// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Gemma-2 (Riviere et al., 2024): norms around the sublayers, soft caps, a window in every other
/// block, embeddings times sqrt(hidden). Norms multiply with 1 + the stored weight.
Family gemma2() {
  Names names = names_of_llama();
  names.attention_post_norm = "post_attention_layernorm";
  names.mlp_norm = "pre_feedforward_layernorm";
  names.mlp_post_norm = "post_feedforward_layernorm";
  return {.model_type = "gemma2",
          .architecture = "Gemma2ForCausalLM",
          .names = names,
          .kv_heads = {"num_key_value_heads", 4},
          .head_dim = {"head_dim", 256},
          .tied_embeddings = {"tie_word_embeddings", true},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .norm_offset = 1,
          .window = {.rule = WindowRule::all_but_each_nth, .fallback = 4096, .count = 2},
          .query_pre_attention = {"query_pre_attn_scalar", 256},
          .attention_soft_cap = {"attn_logit_softcapping", 50},
          .final_soft_cap = {"final_logit_softcapping", 30},
          .scaled_embeddings = true,
          .activation_key = "hidden_activation",
          .activation = Activation::gelu_tanh,
          .activation_words = {"gelu_pytorch_tanh"},
          .qkv_bias = {"attention_bias"},
          .output_bias = {"attention_bias"}};
}

}  // namespace constrictor::families
