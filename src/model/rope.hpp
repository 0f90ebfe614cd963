// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "data/model_spec.hpp"
#include "kernels/rope.hpp"

namespace constrictor::model {

/// Whether a block's queries see a window of keys only.
inline bool slides(const ModelSpec& spec, Index block) {
  return spec.window > 0 &&
         (spec.sliding.empty() || spec.sliding.at(static_cast<std::size_t>(block)));
}

/// Radians per position of each pair of a head's elements in a block, `rope_scaling` applied;
/// [head_dim / 2]. Empty for models without RoPE.
std::vector<float> rope_frequencies(const ModelSpec& spec, Index block);

/// Rotations of the first `length` positions.
kernels::RopeTable rope_table(const ModelSpec& spec, Index block, Index length);

}  // namespace constrictor::model
