// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Mixtral of experts (Jiang et al., arXiv 2401.04088): Mistral with eight MLPs a block, of which a
/// token uses two.
Family mixtral() {
  Family family = mistral();
  family.model_type = "mixtral";
  family.architecture = "MixtralForCausalLM";
  family.names.gate = "block_sparse_moe.experts.#.w1";
  family.names.up = "block_sparse_moe.experts.#.w3";
  family.names.down = "block_sparse_moe.experts.#.w2";
  family.names.router = "block_sparse_moe.gate";
  family.norm_eps = {"rms_norm_eps", 1e-5};
  family.rope_theta = 1e6;
  family.window.fallback = 0;  // null in the published folders
  family.experts = {"num_local_experts", 8};
  family.experts_per_token = {"num_experts_per_tok", 2};
  return family;
}

}  // namespace constrictor::families
