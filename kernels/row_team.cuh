// SPDX-License-Identifier: Apache-2.0
#pragma once
// Eight lanes a row: sums over many rows of a few hundred or thousand columns. A warp reads a
// sector of memory of four rows at a time, and needs three shuffles for four sums. Included by
// *_gpu.cu only.
#include "kernels/launch.cuh"

namespace constrictor::kernels {

inline constexpr int team_lanes = 8;

/// The sum over the 8 lanes of a team, in each of them. All lanes of the warp take part.
template <class T>
__device__ inline T team_sum(T value) {
  for (int step = team_lanes / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

/// What the calling thread of a one-dimensional launch works on: number `row` (of `rows`, or one
/// that is not there: `valid` says which) as lane `lane` of its team. Rows that are not there must
/// still take part in shuffles: read row 0 for them.
struct TeamRow {
  Index row;
  int lane;
  bool valid;
};
__device__ inline TeamRow team_row(Index rows) {
  const Index number = (Index{blockIdx.x} * blockDim.x + threadIdx.x) / team_lanes;
  const bool valid = number < rows;
  return {valid ? number : 0, static_cast<int>(threadIdx.x) % team_lanes, valid};
}

inline LaunchShape team_each(Index rows, int threads) {
  return {grid_of(rows, threads / team_lanes, 0x7fffffff), dim3(static_cast<unsigned>(threads)), 0};
}

}  // namespace constrictor::kernels
