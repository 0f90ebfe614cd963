// SPDX-License-Identifier: Apache-2.0
#include "kernels/launch.cuh"
#include "kernels/split_bfloat16.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256, warps = threads / warp_size;

/// One block a row.
__global__ void split_row(DeviceView<const float> M, DeviceView<bfloat16> high,
                          DeviceView<bfloat16> low, float* rest) {
  const Index r = blockIdx.x;
  float squares = 0.f;
  for (Index c = threadIdx.x; c < high.cols; c += threads) {
    const float value = c < M.cols ? M(r, c) : 0.f;
    const bfloat16 upper(value);
    const float remainder = value - static_cast<float>(upper);
    const bfloat16 lower(remainder);
    const float left = remainder - static_cast<float>(lower);
    high(r, c) = upper;
    low(r, c) = lower;
    squares += left * left;
  }
  squares = block_sum(squares);
  if (threadIdx.x == 0) rest[r] = squares;
}

/// One warp a row.
__global__ void sum_squares(DeviceView<const float> M, float* squares) {
  const Index r = Index{blockIdx.x} * warps + threadIdx.x / warp_size;
  const unsigned lane = threadIdx.x % warp_size;
  if (r >= M.rows) return;
  double sum = 0;
  for (Index c = lane; c < M.cols; c += warp_size)
    sum += static_cast<double>(M(r, c)) * static_cast<double>(M(r, c));
  sum = warp_sum(sum);
  if (lane == 0) squares[r] = static_cast<float>(sum);
}

}  // namespace

void split_bfloat16(const device::Stream& stream, DeviceView<const float> M,
                    DeviceView<bfloat16> high, DeviceView<bfloat16> low, float* rest) {
  launch("split_bfloat16", split_row, {grid_of(M.rows, 1, 0x7fffffff), dim3(threads), 0}, stream, M,
         high, low, rest);
}

void row_squares(const device::Stream& stream, DeviceView<const float> M, float* squares) {
  launch("row_squares", sum_squares, {grid_of(M.rows, warps, 0x7fffffff), dim3(threads), 0}, stream,
         M, squares);
}

}  // namespace constrictor::kernels
