// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Gemma-3, the text model (Gemma Team, 2025): Gemma-2 with a norm of queries and keys inside the
/// head instead of the soft caps; five blocks with a window and their own rope_theta for one
/// without.
Family gemma3() {
  Names names = gemma2().names;
  names.query_norm = "self_attn.q_norm";
  names.key_norm = "self_attn.k_norm";
  return {.model_type = "gemma3_text",
          .architecture = "Gemma3ForCausalLM",
          .names = names,
          .kv_heads = {"num_key_value_heads", 4},
          .head_dim = {"head_dim", 256},
          .tied_embeddings = {"tie_word_embeddings", true},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .norm_offset = 1,
          .rope_theta = 1e6,
          .local_rope_theta = {"rope_local_base_freq", 1e4},
          .window = {.rule = WindowRule::all_but_each_nth,
                     .fallback = 4096,
                     .count_key = "sliding_window_pattern",
                     .count = 6},
          .query_pre_attention = {"query_pre_attn_scalar", 256},
          .final_soft_cap = {"final_logit_softcapping"},
          .scaled_embeddings = true,
          .activation_key = "hidden_activation",
          .activation = Activation::gelu_tanh,
          .activation_words = {"gelu_pytorch_tanh"},
          .qkv_bias = {"attention_bias"},
          .output_bias = {"attention_bias"},
          .fixed = {{"use_bidirectional_attention", false}},
          .unsupported = {"attn_logit_softcapping"}};
}

}  // namespace constrictor::families
