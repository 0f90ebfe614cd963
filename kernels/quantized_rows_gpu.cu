// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_of.cuh"
#include "kernels/launch.cuh"
#include "kernels/quantized_rows.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256;

/// fn(row, column) for every element; a block takes 256 columns and strides over the rows.
template <class Function>
__device__ inline void for_elements(Index rows, Index cols, Function fn) {
  const Index c = Index{blockIdx.x} * threads + threadIdx.x;
  if (c >= cols) return;
  for (Index r = blockIdx.y; r < rows; r += gridDim.y) fn(r, c);
}

LaunchShape shape_of(Index rows, Index cols) {
  dim3 blocks = grid_of(cols, threads);
  blocks.y = grid_of(rows, 1).x;
  if (blocks.y > 65535) blocks.y = 65535;
  return {blocks, dim3(threads), 0};
}

__global__ void round_elements(DeviceView<const float> W, RowGrids grids,
                               DeviceView<std::uint8_t> codes) {
  for_elements(W.rows, W.cols, [&](Index r, Index c) {
    const Index g = c / grids.size;
    codes(r, c) = static_cast<std::uint8_t>(
        device_code_of(W(r, c), grids.scale(r, g), grids.zero(r, g), grids.top));
  });
}

__global__ void dequantize_elements(DeviceView<const std::uint8_t> codes, RowGrids grids,
                                    DeviceView<float> Q) {
  for_elements(codes.rows, codes.cols, [&](Index r, Index c) {
    const Index g = c / grids.size;
    Q(r, c) = grids.scale(r, g) * (static_cast<float>(codes(r, c)) - grids.zero(r, g));
  });
}

__global__ void shift_elements(DeviceView<const std::uint8_t> codes, RowGrids grids,
                               DeviceView<float> Z) {
  for_elements(codes.rows, codes.cols, [&](Index r, Index c) {
    Z(r, c) = static_cast<float>(codes(r, c)) - grids.zero(r, c / grids.size);
  });
}

__global__ void scale_elements(DeviceView<const float> scale, Index size, DeviceView<float> M) {
  for_elements(M.rows, M.cols, [&](Index r, Index c) { M(r, c) *= scale(r, c / size); });
}

__global__ void subtract_elements(DeviceView<const float> A, DeviceView<const float> B,
                                  DeviceView<float> C) {
  for_elements(A.rows, A.cols, [&](Index r, Index c) { C(r, c) = A(r, c) - B(r, c); });
}

}  // namespace

void round_to_grid(const device::Stream& stream, DeviceView<const float> W, const RowGrids& grids,
                   DeviceView<std::uint8_t> codes) {
  launch("round_to_grid", round_elements, shape_of(W.rows, W.cols), stream, W, grids, codes);
}

void dequantize(const device::Stream& stream, DeviceView<const std::uint8_t> codes,
                const RowGrids& grids, DeviceView<float> Q) {
  launch("dequantize", dequantize_elements, shape_of(Q.rows, Q.cols), stream, codes, grids, Q);
}

void shift_codes(const device::Stream& stream, DeviceView<const std::uint8_t> codes,
                 const RowGrids& grids, DeviceView<float> Z) {
  launch("shift_codes", shift_elements, shape_of(Z.rows, Z.cols), stream, codes, grids, Z);
}

void scale_groups(const device::Stream& stream, DeviceView<const float> scale, Index size,
                  DeviceView<float> M) {
  launch("scale_groups", scale_elements, shape_of(M.rows, M.cols), stream, scale, size, M);
}

void subtract(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
              DeviceView<float> C) {
  launch("subtract", subtract_elements, shape_of(C.rows, C.cols), stream, A, B, C);
}

}  // namespace constrictor::kernels
