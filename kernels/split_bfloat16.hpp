// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// M = high + low + rest, high and low in bfloat16: two products on tensor cores instead of one in
/// float32.
///   M           [rows x cols]
///   high, low   [rows x at least cols]  columns behind those of M are zero
///   rest        [rows]  sum over the row of the squares of what is left, at most 2^-18 of each
///   entry
void split_bfloat16(const device::Stream& stream, DeviceView<const float> M,
                    DeviceView<bfloat16> high, DeviceView<bfloat16> low, float* rest);

/// squares[r] = sum over c of M(r, c)^2, added up in float64.
void row_squares(const device::Stream& stream, DeviceView<const float> M, float* squares);

}  // namespace constrictor::kernels
