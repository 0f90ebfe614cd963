// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"

namespace constrictor::kernels {

/// U <- silu(G) ⊙ U,  silu(x) = x / (1 + e^-x)   (SwiGLU, Shazeer 2020)
///
///   G, U  [rows x width]   the gate's and the up layer's output
void gate(View<const float> G, View<float> U);

}  // namespace constrictor::kernels
