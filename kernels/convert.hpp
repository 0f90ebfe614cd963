// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// to <- from, element by element, rounded to nearest, ties to even. On the device only; the CPU
/// has `converted` (core/matrix.hpp) and kernels/round_to_bfloat16.hpp.
///   (From, To): (float, bfloat16), (bfloat16, float), (float, double), (double, float)
template <class From, class To>
void convert(const device::Stream& stream, DeviceView<const From> from, DeviceView<To> to);

}  // namespace constrictor::kernels
