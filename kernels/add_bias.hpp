// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// Every row of Y [rows x width] gets b [width] added.
void add_bias(std::span<const float> b, View<float> Y);

/// b [1 x width]
void add_bias(const device::Stream& stream, DeviceView<const float> b, DeviceView<float> Y);

}  // namespace constrictor::kernels
