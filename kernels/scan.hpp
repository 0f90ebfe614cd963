// SPDX-License-Identifier: Apache-2.0
#pragma once
// Questions about a whole matrix on the device, answered to the host.
#include "core/matrix.hpp"
#include "device/context.hpp"

namespace constrictor::kernels {

/// Number row * cols + col of the first element, row by row, that is NaN or Inf; -1 where none is.
/// Waits for the main stream.
Index first_not_finite(const device::Context& gpu, DeviceView<const float> M);
/// The same of the first element that is not zero (NaN counts as not zero).
Index first_not_zero(const device::Context& gpu, DeviceView<const float> M);

}  // namespace constrictor::kernels
