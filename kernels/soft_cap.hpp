// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// x <- cap tanh(x / cap), every element of X [rows x width].
void soft_cap(View<float> X, float cap);
void soft_cap(const device::Stream& stream, DeviceView<float> X, float cap);

}  // namespace constrictor::kernels
