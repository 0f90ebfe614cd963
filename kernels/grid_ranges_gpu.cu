// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_of.cuh"
#include "kernels/grid_ranges.hpp"
#include "kernels/launch.cuh"
#include "kernels/uniform_grid.hpp"

namespace constrictor::kernels {
namespace {

constexpr int warps = 4, threads = warps * warp_size;
constexpr Index most_blocks = 0x7fffffff;
constexpr int candidates = 2 * static_cast<int>(grid_shrinks);  // of one range

/// The arithmetic of quant::range_of, from the extremes (0 included).
__device__ GridRange range_of(float low, float high, ZeroPoints zeros, float top) {
  if (zeros == ZeroPoints::middle) {
    high = fmaxf(high, -low);
    if (low < 0.f) low = -high;
  }
  if (low == 0.f && high == 0.f) low = -1.f, high = 1.f;
  if (zeros == ZeroPoints::middle) {
    const float middle = (top + 1.f) / 2.f;
    return {low, high, {middle, middle}};
  }
  const float exact = -low / ((high - low) / top);
  if (zeros == ZeroPoints::nearest) return {low, high, {rintf(exact), rintf(exact)}};
  return {low, high, {floorf(exact), ceilf(exact)}};
}

/// One warp a range.
__global__ void find_ranges(DeviceView<const float> W, Index size, ZeroPoints zeros, float top,
                            DeviceView<GridRange> ranges) {
  const Index number = Index{blockIdx.x} * warps + threadIdx.x / warp_size;
  const unsigned lane = threadIdx.x % warp_size;
  if (number >= ranges.rows * ranges.cols) return;
  const Index r = number / ranges.cols, g = number % ranges.cols;
  const float* w = W.row(r) + g * size;
  float low = 0.f, high = 0.f;
  for (Index c = lane; c < size; c += warp_size) {
    low = fminf(low, w[c]);
    high = fmaxf(high, w[c]);
  }
  low = -warp_max(-low);
  high = warp_max(high);
  if (lane == 0) ranges(r, g) = range_of(low, high, zeros, top);
}

__global__ void take_unshrunk(DeviceView<const GridRange> ranges, float top,
                              DeviceView<float> scale, DeviceView<float> zero) {
  const Index number = Index{blockIdx.x} * threads + threadIdx.x;
  if (number >= ranges.rows * ranges.cols) return;
  const Index r = number / ranges.cols, g = number % ranges.cols;
  const GridRange range = ranges(r, g);
  scale(r, g) = shrunk_scale<float>(range.low, range.high, 0, top);
  zero(r, g) = range.zeros[0];
}

/// One block a range, a candidate a warp; warp 0 takes the first of the smallest.
__global__ void search_powers(DeviceView<const float> W, Index size,
                              DeviceView<const GridRange> ranges, float top,
                              DeviceView<float> scale, DeviceView<float> zero) {
  __shared__ float scores[candidates];
  const Index r = blockIdx.x / ranges.cols, g = blockIdx.x % ranges.cols;
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  const GridRange range = ranges(r, g);
  const float* w = W.row(r) + g * size;
  for (int k = static_cast<int>(threadIdx.x) / warp_size; k < candidates; k += warps) {
    const float s = shrunk_scale<float>(range.low, range.high, k / 2, top), z = range.zeros[k % 2];
    float sum = 0.f;
    for (Index c = lane; c < size; c += warp_size)
      sum += power_2_4(fabsf(s * (device_code_of(w[c], s, z, top) - z) - w[c]));
    sum = warp_sum(sum);
    if (lane == 0) scores[k] = k % 2 == 1 && z == range.zeros[0] ? INFINITY : sum;
  }
  __syncthreads();
  if (threadIdx.x >= warp_size) return;
  int best = lane;
  for (int k = lane + warp_size; k < candidates; k += warp_size)
    if (scores[k] < scores[best]) best = k;
  for (int step = warp_size / 2; step > 0; step /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, best, step);
    if (scores[other] < scores[best] || (scores[other] == scores[best] && other < best))
      best = other;
  }
  if (lane == 0) {
    scale(r, g) = shrunk_scale<float>(range.low, range.high, best / 2, top);
    zero(r, g) = range.zeros[best % 2];
  }
}

}  // namespace

void grid_ranges(const device::Stream& stream, DeviceView<const float> W, Index size,
                 ZeroPoints zeros, float top, DeviceView<GridRange> ranges) {
  CONSTRICTOR_REQUIRE(size > 0 && ranges.rows == W.rows && ranges.cols * size == W.cols, size,
                      ranges.rows, ranges.cols, W.rows, W.cols);
  launch("grid_ranges", find_ranges, {grid_of(ranges.size(), warps, most_blocks), dim3(threads), 0},
         stream, W, size, zeros, top, ranges);
}

void grids_of_ranges(const device::Stream& stream, DeviceView<const GridRange> ranges, float top,
                     DeviceView<float> scale, DeviceView<float> zero) {
  launch("grids_of_ranges", take_unshrunk,
         {grid_of(ranges.size(), threads, most_blocks), dim3(threads), 0}, stream, ranges, top,
         scale, zero);
}

void search_mse(const device::Stream& stream, DeviceView<const float> W, Index size,
                DeviceView<const GridRange> ranges, float top, DeviceView<float> scale,
                DeviceView<float> zero) {
  launch("search_mse", search_powers, {grid_of(ranges.size(), 1, most_blocks), dim3(threads), 0},
         stream, W, size, ranges, top, scale, zero);
}

}  // namespace constrictor::kernels
