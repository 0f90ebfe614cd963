// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_of.cuh"
#include "kernels/grid_candidates.hpp"
#include "kernels/launch.cuh"
#include "kernels/row_team.cuh"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256, warps = threads / warp_size;
constexpr int run = 8;  // columns of a thread: 16 bytes of bfloat16
constexpr int most_blocks_down = 65535;

struct Chosen {
  Index row;
  float scale, zero;
};
__device__ inline Chosen chosen(const Candidates& candidates, std::int32_t item) {
  const Index row = row_of(item);
  const GridRange range = candidates.ranges(row, 0);
  return {row, shrunk_scale<float>(range.low, range.high, shrink_of(item), candidates.top),
          range.zeros[zero_of(item)]};
}

/// A thread writes 8 columns of one candidate, a block 256 columns of 8 of them; the pitch of Z is
/// a multiple of 8.
__global__ void write_shifted_codes(DeviceView<const float> W, Candidates candidates,
                                    DeviceView<bfloat16> Z) {
  const Index first = (Index{blockIdx.x} * warp_size + threadIdx.x) * run;
  if (first >= Z.cols) return;
  for (Index i = Index{blockIdx.y} * warps + threadIdx.y; i < candidates.count;
       i += Index{gridDim.y} * warps) {
    const Chosen grid = chosen(candidates, candidates.items[i]);
    const float* w = W.row(grid.row);
    std::uint32_t out[run / 2] = {};
    CONSTRICTOR_UNROLL
    for (int k = 0; k < run; ++k) {
      const Index c = first + k;
      const float code =
          c < W.cols ? device_code_of(w[c], grid.scale, grid.zero, candidates.top) : grid.zero;
      out[k / 2] |= std::uint32_t{bfloat16(code - grid.zero).bits} << 16 * (k % 2);
    }
    *reinterpret_cast<uint4*>(Z.row(i) + first) = make_uint4(out[0], out[1], out[2], out[3]);
  }
}

__global__ void write_errors(DeviceView<const float> W, Candidates candidates,
                             DeviceView<float> E) {
  const Index c = Index{blockIdx.x} * warp_size + threadIdx.x;
  if (c >= E.cols) return;
  for (Index i = Index{blockIdx.y} * warps + threadIdx.y; i < E.rows;
       i += Index{gridDim.y} * warps) {
    if (i >= candidates.count) {
      E(i, c) = 0.f;
      continue;
    }
    const Chosen grid = chosen(candidates, candidates.items[i]);
    const float w = W(grid.row, c);
    const float code = device_code_of(w, grid.scale, grid.zero, candidates.top);
    E(i, c) = grid.scale * (code - grid.zero) - w;
  }
}

__global__ void add_squares(DeviceView<const float> Y, DeviceView<const float> h,
                            Candidates candidates, float* scores) {
  const TeamRow at = team_row(candidates.count);
  const Chosen grid = chosen(candidates, candidates.items[at.row]);
  const float *y = Y.row(at.row), *target = h.row(grid.row);
  float sum = 0.f;
  for (Index c = at.lane; c < Y.cols; c += team_lanes) {
    const float miss = grid.scale * y[c] - target[c];
    sum += miss * miss;
  }
  sum = team_sum(sum);
  if (at.valid && at.lane == 0) scores[at.row] += sum;
}

__global__ void sum_products(DeviceView<const float> A, DeviceView<const float> B, Index count,
                             float* scores) {
  const TeamRow at = team_row(count);
  double sum = 0;
  for (Index c = at.lane; c < A.cols; c += team_lanes)
    sum += static_cast<double>(A(at.row, c)) * static_cast<double>(B(at.row, c));
  sum = team_sum(sum);
  if (at.valid && at.lane == 0) scores[at.row] = static_cast<float>(sum);
}

/// A line of 32 threads a row, each `columns` of its columns.
LaunchShape shape_of(Index rows, Index cols, Index columns) {
  dim3 blocks = grid_of(cols, warp_size * columns);
  blocks.y = grid_of(rows, warps, most_blocks_down).x;
  return {blocks, dim3(warp_size, warps), 0};
}

}  // namespace

void shifted_codes(const device::Stream& stream, DeviceView<const float> W,
                   const Candidates& candidates, DeviceView<bfloat16> Z) {
  CONSTRICTOR_REQUIRE(Z.cols % run == 0 && Z.stride % run == 0 && Z.cols >= W.cols, Z.cols,
                      Z.stride, W.cols);
  launch("shifted_codes", write_shifted_codes, shape_of(candidates.count, Z.cols, run), stream, W,
         candidates, Z);
}

void candidate_errors(const device::Stream& stream, DeviceView<const float> W,
                      const Candidates& candidates, DeviceView<float> E) {
  launch("candidate_errors", write_errors, shape_of(E.rows, E.cols, 1), stream, W, candidates, E);
}

void add_misses(const device::Stream& stream, DeviceView<const float> Y, DeviceView<const float> h,
                const Candidates& candidates, float* scores) {
  launch("add_misses", add_squares, team_each(candidates.count, threads), stream, Y, h, candidates,
         scores);
}

void row_products(const device::Stream& stream, DeviceView<const float> A,
                  DeviceView<const float> B, Index count, float* scores) {
  launch("row_products", sum_products, team_each(count, threads), stream, A, B, count, scores);
}

}  // namespace constrictor::kernels
