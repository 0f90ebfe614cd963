// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "core/matrix.hpp"

namespace constrictor::kernels {

/// Every row of Y [rows x width] gets b [width] added.
void add_bias(std::span<const float> b, View<float> Y);

}  // namespace constrictor::kernels
