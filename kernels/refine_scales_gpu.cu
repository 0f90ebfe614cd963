// SPDX-License-Identifier: Apache-2.0
#include "kernels/launch.cuh"
#include "kernels/refine_scales.hpp"
#include "kernels/row_team.cuh"

namespace constrictor::kernels {
namespace {

constexpr int warps = 4, threads = warps * warp_size;

__device__ inline float group_dot(const float* a, const float* b, Index size, int lane) {
  float sum = 0.f;
  for (Index c = lane; c < size; c += team_lanes) sum += a[c] * b[c];
  return team_sum(sum);
}

/// A team of lanes a row and group.
__global__ void sum_groups(DeviceView<const float> A, DeviceView<const float> B, Index size,
                           DeviceView<float> dots) {
  const TeamRow at = team_row(dots.rows * dots.cols);
  const Index r = at.row / dots.cols, g = at.row % dots.cols;
  const float sum = group_dot(A.row(r) + g * size, B.row(r) + g * size, size, at.lane);
  if (at.valid && at.lane == 0) dots(r, g) = sum;
}

/// One pass of a warp over the groups of one row; its slopes lie in shared memory. Adds what every
/// scale moves by to `moves` [groups], in shared memory too. By how much L falls, in every lane.
__device__ float pass_over_groups(const float* products, Index groups, float weight, float* slope,
                                  float* moves) {
  const Index lane = threadIdx.x % warp_size;
  float gain = 0.f;
  for (Index g = 0; g < groups; ++g) {
    const float* row = products + g * groups;
    const float curvature = weight * row[g];
    const float step = curvature > 0.f ? slope[g] / curvature : 0.f;
    gain += step * slope[g];
    __syncwarp();  // all have read slope[g]
    if (!(curvature > 0.f)) continue;
    for (Index k = lane; k < groups; k += warp_size) slope[k] -= weight * step * row[k];
    if (lane == 0) moves[g] += step;
    __syncwarp();
  }
  return gain;
}

/// One warp a row.
__global__ void descend_each_row(DeviceView<const float> products, Passes passes,
                                 DeviceView<float> slope, DeviceView<float> scale) {
  const Index groups = slope.cols, lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
  const Index r = Index{blockIdx.x} * warps + warp;
  if (r >= slope.rows) return;
  float* mine = dynamic_shared<float>() + warp * 2 * groups;
  for (Index g = lane; g < groups; g += warp_size) {
    mine[g] = slope(r, g);
    mine[groups + g] = scale(r, g);
  }
  __syncwarp();
  float total = 0.f;
  for (Index pass = 0; pass < passes.most; ++pass) {
    const float gain = pass_over_groups(products.row(r), groups, 1.f, mine, mine + groups);
    total += gain;
    if (gain < passes.gain * total) break;
  }
  for (Index g = lane; g < groups; g += warp_size) {
    slope(r, g) = mine[g];
    scale(r, g) = mine[groups + g];
  }
}

/// One block a head, a row a thread (or several).
__global__ void descend_each_head(DeviceView<const float> products, HeadRows heads, Passes passes,
                                  DeviceView<float> slope, DeviceView<float> scale) {
  const Index d = heads.order.cols, first = blockIdx.x * d;
  float* mine = dynamic_shared<float>();
  for (Index j = threadIdx.x; j < d; j += blockDim.x) mine[j] = slope(first + j, 0);
  __syncthreads();
  float gain = 0.f, total = 0.f;  // the same in every thread
  for (Index step_number = 0; step_number < passes.most * d; ++step_number) {
    if (step_number > 0 && step_number % d == 0) {
      if (gain < passes.gain * total) break;
      gain = 0.f;
    }
    const Index i = heads.order(blockIdx.x, step_number % d);
    const float curvature = heads.H_out(first + i, i) * products(first + i, i);
    const float step = curvature > 0.f ? mine[i] / curvature : 0.f;
    gain += step * mine[i];
    total += step * mine[i];
    __syncthreads();  // all have read mine[i]
    if (threadIdx.x == 0 && curvature > 0.f) scale(first + i, 0) += step;
    if (curvature > 0.f)
      for (Index j = threadIdx.x; j < d; j += blockDim.x)
        mine[j] -= heads.H_out(first + i, j) * step * products(first + i, j);
    __syncthreads();
  }
  for (Index j = threadIdx.x; j < d; j += blockDim.x) slope(first + j, 0) = mine[j];
}

/// One block a head: its first warp descends, all write the change.
__global__ void descend_one_position(DeviceView<const float> products, HeadRows heads,
                                     AtPosition at, DeviceView<const float> Z,
                                     DeviceView<float> slope, DeviceView<float> scale,
                                     DeviceView<float> progress, DeviceView<float> change) {
  const Index head = blockIdx.x, d = heads.order.cols, groups = slope.cols;
  const bool pass_begins = at.position == 0, first = pass_begins && at.pass == 0;
  const float of_pass = pass_begins ? 0.f : progress(head, 0),
              total = first ? 0.f : progress(head, 1);
  const bool goes_on =
      first || (progress(head, 2) != 0.f && !(pass_begins && progress(head, 0) < at.gain * total));
  __syncthreads();  // all have read progress
  if (threadIdx.x == 0) {
    progress(head, 0) = of_pass;
    progress(head, 1) = total;
    progress(head, 2) = goes_on ? 1.f : 0.f;
  }
  if (!goes_on) {
    for (Index c = threadIdx.x; c < Z.cols; c += threads) change(head, c) = 0.f;
    return;
  }
  const Index i = heads.order(head, at.position), row = head * d + i, size = Z.cols / groups;
  float *mine = dynamic_shared<float>(), *moves = mine + groups;
  for (Index g = threadIdx.x; g < groups; g += threads) {
    mine[g] = slope(row, g);
    moves[g] = 0.f;
  }
  __syncthreads();
  if (threadIdx.x < warp_size) {
    const float gain =
        pass_over_groups(products.row(row), groups, heads.H_out(row, i), mine, moves);
    if (threadIdx.x == 0) {
      progress(head, 0) = of_pass + gain;
      progress(head, 1) = total + gain;
    }
  }
  __syncthreads();
  for (Index g = threadIdx.x; g < groups; g += threads) {
    slope(row, g) = mine[g];
    scale(row, g) += moves[g];
  }
  for (Index c = threadIdx.x; c < Z.cols; c += threads)
    change(head, c) = moves[c / size] * Z(row, c);
}

/// A team of lanes a row and group.
__global__ void spread_one_position(HeadRows heads, Index position, DeviceView<const float> moved,
                                    DeviceView<const float> Z, DeviceView<float> slope) {
  const TeamRow at = team_row(slope.rows * slope.cols);
  const Index row = at.row / slope.cols, g = at.row % slope.cols, d = heads.order.cols;
  const Index head = row / d, j = row % d, i = heads.order(head, position);
  const Index size = Z.cols / slope.cols;
  const float sum = group_dot(moved.row(head) + g * size, Z.row(row) + g * size, size, at.lane);
  if (at.valid && at.lane == 0 && j != i) slope(row, g) -= heads.H_out(row, i) * sum;
}

LaunchShape warp_each(Index count) { return {grid_of(count, warps, 0x7fffffff), dim3(threads), 0}; }
std::size_t bytes_of(Index floats) { return sizeof(float) * static_cast<std::size_t>(floats); }

}  // namespace

void group_dots(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
                Index size, DeviceView<float> dots) {
  launch("group_dots", sum_groups, team_each(dots.size(), threads), stream, A, B, size, dots);
}

void descend_rows(const device::Stream& stream, DeviceView<const float> products, Passes passes,
                  DeviceView<float> slope, DeviceView<float> scale) {
  auto shape = warp_each(slope.rows);
  shape.shared_bytes = bytes_of(warps * 2 * slope.cols);
  launch("descend_rows", descend_each_row, shape, stream, products, passes, slope, scale);
}

void descend_heads(const device::Stream& stream, DeviceView<const float> products,
                   const HeadRows& heads, Passes passes, DeviceView<float> slope,
                   DeviceView<float> scale) {
  launch("descend_heads", descend_each_head,
         {grid_of(heads.order.rows, 1), dim3(128), bytes_of(heads.order.cols)}, stream, products,
         heads, passes, slope, scale);
}

void descend_position(const device::Stream& stream, DeviceView<const float> products,
                      const HeadRows& heads, const AtPosition& at, DeviceView<const float> Z,
                      DeviceView<float> slope, DeviceView<float> scale, DeviceView<float> progress,
                      DeviceView<float> change) {
  launch("descend_position", descend_one_position,
         {grid_of(heads.order.rows, 1), dim3(threads), bytes_of(2 * slope.cols)}, stream, products,
         heads, at, Z, slope, scale, progress, change);
}

void spread_position(const device::Stream& stream, const HeadRows& heads, Index position,
                     DeviceView<const float> moved, DeviceView<const float> Z,
                     DeviceView<float> slope) {
  launch("spread_position", spread_one_position, team_each(slope.size(), threads), stream, heads,
         position, moved, Z, slope);
}

}  // namespace constrictor::kernels
