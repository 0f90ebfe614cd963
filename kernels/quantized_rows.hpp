// SPDX-License-Identifier: Apache-2.0
#pragma once
// Codes and grids to matrices and back, element by element on the device.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// One grid a row and group of `size` columns: W~ = s (C - z).
struct RowGrids {
  DeviceView<const float> scale, zero;  // [rows x groups]
  Index size;                           // inputs in a group
  float top;                            // largest code
};

/// Plain rounding of W [rows x in].
void round_to_grid(const device::Stream& stream, DeviceView<const float> W, const RowGrids& grids,
                   DeviceView<std::uint8_t> codes);
/// Q = s (C - z)
void dequantize(const device::Stream& stream, DeviceView<const std::uint8_t> codes,
                const RowGrids& grids, DeviceView<float> Q);
/// Z = C - z
void shift_codes(const device::Stream& stream, DeviceView<const std::uint8_t> codes,
                 const RowGrids& grids, DeviceView<float> Z);
/// M(r, c) <- s(r, group of c) M(r, c)
void scale_groups(const device::Stream& stream, DeviceView<const float> scale, Index size,
                  DeviceView<float> M);
/// C = A - B
void subtract(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
              DeviceView<float> C);

}  // namespace constrictor::kernels
