// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums and multiples of whole matrices on the device.
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// X <- factor X;  T = float, double, bfloat16 (multiplied in float32).
template <class T>
void scale(const device::Stream& stream, double factor, DeviceView<T> X);

/// X <- X + Y
void add(const device::Stream& stream, DeviceView<const float> Y, DeviceView<float> X);

/// The columns of X with these numbers <- 0.   columns [1 x count]
void clear_columns(const device::Stream& stream, DeviceView<const Index> columns,
                   DeviceView<float> X);

}  // namespace constrictor::kernels
