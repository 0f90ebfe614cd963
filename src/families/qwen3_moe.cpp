// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

namespace constrictor::families {

/// Qwen3 with a mixture of experts in every block (Yang et al., 2025).
Family qwen3_moe() {
  Family family = qwen3();
  family.model_type = "qwen3_moe";
  family.architecture = "Qwen3MoeForCausalLM";
  family.names.gate = "mlp.experts.#.gate_proj";
  family.names.up = "mlp.experts.#.up_proj";
  family.names.down = "mlp.experts.#.down_proj";
  family.names.router = "mlp.gate";
  family.feed_forward = {"moe_intermediate_size"};
  family.experts = {"num_experts", 128};
  family.experts_per_token = {"num_experts_per_tok", 8};
  family.renormalize_experts = {"norm_topk_prob", false};
  return family;
}

}  // namespace constrictor::families
