// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Mistral (Jiang et al., 2023): Llama with a window in every block; from v0.2 on the window is
/// null.
Family mistral() {
  return {.model_type = "mistral",
          .architecture = "MistralForCausalLM",
          .names = names_of_llama(),
          .kv_heads = {"num_key_value_heads", 8},
          .head_dim = {"head_dim"},
          .norm_eps = {"rms_norm_eps", 1e-6},
          .window = {.rule = WindowRule::all, .fallback = 4096},
          .activation_key = "hidden_act",
          .activation = Activation::silu,
          .activation_words = {"silu", "swish"}};
}

}  // namespace constrictor::families
