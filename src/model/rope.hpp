// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "data/model_spec.hpp"
#include "kernels/rope.hpp"

namespace constrictor::model {

/// Radians per position of each pair of a head's elements, `rope_scaling` applied; [head_dim / 2].
/// Empty for models without RoPE.
std::vector<float> rope_frequencies(const ModelSpec& spec);

/// Rotations of the first `length` positions.
kernels::RopeTable rope_table(const ModelSpec& spec, Index length);

}  // namespace constrictor::model
