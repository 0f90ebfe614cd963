// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// first <- the smallest row of X that holds NaN or Inf, or X.rows when none does. On a device
/// only: a chunk's answers are left there and fetched together.
///
///   X      [rows x width]   T = float or bfloat16
///   first  [1 x 1]          out
template <class T>
void first_nonfinite_row(const device::Stream& stream, DeviceView<const T> X,
                         DeviceView<Index> first);

}  // namespace constrictor::kernels
