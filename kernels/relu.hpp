// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"

namespace constrictor::kernels {

/// x <- max(x, 0), every element of X [rows x width]; NaN stays NaN, so that it is found later.
void relu(View<float> X);

}  // namespace constrictor::kernels
