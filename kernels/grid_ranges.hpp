// SPDX-License-Identifier: Apache-2.0
#pragma once
// What rows and groups of weights span, and the grids that need no Hessian (quant/grid.hpp on the
// device).
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// quant::Range<float>; zeros[1] == zeros[0] where there is one zero point only.
struct GridRange {
  float low, high;
  float zeros[2];
};

/// middle: 2^(bits - 1), symmetric range; nearest: round(-low / s); two: floor and ceil of it.
enum class ZeroPoints { middle, nearest, two };

/// The range of each row and group of `size` columns of W [rows x in]; bit for bit quant::range_of.
///   ranges [rows x in / size]
void grid_ranges(const device::Stream& stream, DeviceView<const float> W, Index size,
                 ZeroPoints zeros, float top, DeviceView<GridRange> ranges);

/// The unshrunk grid of every range: scale and zero [rows x groups].
void grids_of_ranges(const device::Stream& stream, DeviceView<const GridRange> ranges, float top,
                     DeviceView<float> scale, DeviceView<float> zero);

/// Shrink and zero with the smallest sum |q(w) - w|^2.4; the first of equals, shrinks outside.
void search_mse(const device::Stream& stream, DeviceView<const float> W, Index size,
                DeviceView<const GridRange> ranges, float top, DeviceView<float> scale,
                DeviceView<float> zero);

}  // namespace constrictor::kernels
