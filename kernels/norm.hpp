// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>

#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// y = w ⊙ x / sqrt(mean(x²) + eps), row by row (Zhang & Sennrich, 2019).
///
///   X  [rows x width]   in
///   w  [width]
///   Y  [rows x width]   out; may be X itself
///
/// The mean is summed in float64.
void rms_norm(View<const float> X, std::span<const float> w, double eps, View<float> Y);

/// y = w ⊙ (x - mean(x)) / sqrt(var(x) + eps) + b, row by row; the variance divides by width (Ba et
/// al., 2016).
///
///   w, b  [width]
void layer_norm(View<const float> X, std::span<const float> w, std::span<const float> b, double eps,
                View<float> Y);

/// On a device, written as E = float or bfloat16: the factor of the next product in one pass.
///   w, b  [1 x width]
///   Y     may be X itself when E is float
template <class E>
void rms_norm(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> w,
              double eps, DeviceView<E> Y);
template <class E>
void layer_norm(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> w,
                DeviceView<const float> b, double eps, DeviceView<E> Y);

}  // namespace constrictor::kernels
