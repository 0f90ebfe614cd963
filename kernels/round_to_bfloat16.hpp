// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"

namespace constrictor::kernels {

/// R <- X in bfloat16 (nearest, ties to even), and X <- R, so that both hold the same numbers.
///
///   X  [rows x width]   in and out
///   R  [rows x width]   out
void round_to_bfloat16(View<float> X, View<bfloat16> R);

/// R <- X in bfloat16; X stays as it is.
void to_bfloat16(View<const float> X, View<bfloat16> R);

}  // namespace constrictor::kernels
