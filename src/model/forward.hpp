// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "data/block.hpp"
#include "data/block_trace.hpp"
#include "data/model_spec.hpp"

namespace constrictor::model {

using constrictor::BlockTrace;

/// `output_only`: everything else is freed as soon as it has been used, and empty in the result.
enum class Keep { output_only, layer_inputs };

/// How far a pass goes: to queries, keys and values, to the inputs of the output layer or the MLP,
/// or to the block's output. What comes later is empty in the result.
enum class Until { attention, output, mlp, end };

/// One transformer block on whole sequences; positions start at 0 in each.
///
///   hidden    [sequences * length x hidden]
///   products  float32 or bfloat16; `automatic` must have been resolved (`resolved_products`).
///   Attention
///             scores, probabilities, norms and the residual stream are float32 either way.
///
/// A sequence's result does not depend on the others in the chunk, beyond the rounding of products.
///   experts_as  with experts: the trace whose tokens each expert's inputs are kept for, so that
///               two paths can be compared token by token; null: those it is used for here
BlockTrace forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                   Index length, Products products, Keep keep, Until until = Until::end,
                   const BlockTrace* experts_as = nullptr);

/// `automatic` becomes bfloat16 for models stored in bfloat16 and float32 for all others.
inline Products resolved_products(const ModelSpec& spec, Products asked) {
  if (asked != Products::automatic) return asked;
  return spec.dtype == DType::bfloat16 ? Products::bfloat16 : Products::float32;
}

}  // namespace constrictor::model
