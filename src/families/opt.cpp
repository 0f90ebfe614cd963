// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// OPT (Zhang et al., 2022). All sizes but 350M have their norms before the sublayers.
Family opt() {
  return {.model_type = "opt",
          .architecture = "OPTForCausalLM",
          .names = {.prefixes = {"model.decoder.", "decoder.", ""},
                    .query = "self_attn.q_proj",
                    .key = "self_attn.k_proj",
                    .value = "self_attn.v_proj",
                    .output = "self_attn.out_proj",
                    .up = "fc1",
                    .down = "fc2",
                    .attention_norm = "self_attn_layer_norm",
                    .mlp_norm = "final_layer_norm",
                    .position_embedding = "embed_positions",
                    .project_in = "project_in",
                    .project_out = "project_out",
                    .final_norm = "final_layer_norm"},
          .feed_forward = {"ffn_dim"},
          .embedding_width = {"word_embed_proj_dim"},
          .tied_embeddings = {"tie_word_embeddings", true},
          .norm_style = NormStyle::layer,
          .norm_eps = {"", 1e-5},  // torch's LayerNorm
          .norm_before = {"do_layer_norm_before", true},
          .remove_final_norm = {"_remove_final_layer_norm"},
          .rotary = false,
          .activation_key = "activation_function",
          .activation = Activation::relu,
          .activation_words = {"relu"},
          .qkv_bias = {"enable_bias", true},
          .output_bias = {"enable_bias", true},
          .mlp_bias = {"enable_bias", true},
          .fixed = {{"layer_norm_elementwise_affine", true}}};
}

}  // namespace constrictor::families
