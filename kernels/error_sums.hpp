// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// How far the rows of Y are from those of X, float64 throughout; on a device only.
///   sums_r = Σ_c (y_rc - x_rc)², Σ_c x_rc², Σ_c y_rc², Σ_c x_rc y_rc
///
///   X, Y  [rows x width]
///   sums  [rows x 4]   out
void error_sums(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> Y,
                DeviceView<double> sums);

}  // namespace constrictor::kernels
