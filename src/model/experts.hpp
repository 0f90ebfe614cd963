// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of model/: mixtures of experts.

#include "model/decoder_block.hpp"

namespace constrictor::model {

/// Adds the output of a block's experts (Mixtral, arXiv 2401.04088):
///
///   h_t <- h_t + Σ_e p_te W_down,e (silu(W_gate,e m_t) ⊙ W_up,e m_t)
///
/// over the `experts_per_token` experts with the largest p_t = softmax(W_router m_t); the router is
/// never quantized. Experts add up in the order of their numbers. `t.mlp_input` [tokens x hidden]
/// in (rounded with bfloat16 products), `t.output` in and out, `t.experts` out: with
/// Keep::layer_inputs every expert's tokens and inputs, see Step::tokens_as.
void add_experts(const Step& step, BlockTrace& t);

}  // namespace constrictor::model
