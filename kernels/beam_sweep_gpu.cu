// SPDX-License-Identifier: Apache-2.0
// One row a block. Every prefix has two copies of its weights in the panel, now and one column
// later, in shared memory. A column that has had its turn is not read again: its place in the two
// copies keeps what the way back needs, the survivor's error in the later one, its code and parent
// in the other.
#include <algorithm>

#include "kernels/beam_sweep.hpp"
#include "kernels/code_of.cuh"
#include "kernels/launch.cuh"

namespace constrictor::kernels {
namespace {

constexpr int pitch = static_cast<int>(sweep_panel) + 1;  // of a prefix: no bank conflicts
constexpr float codes_a_parent = 256;

struct Panel {
  DeviceView<const float> W, U;
  DevicePanelGrid grid;
  BeamResult<float, Space::device> result;
  int before, kept, after;
};

/// Numbers of a block in dynamic shared memory, for `kept` prefixes.
constexpr int shared_floats(int kept) { return kept * (2 * pitch + 8); }

struct Shared {
  float* weights[2];                     // [kept][pitch]
  float* cost;                           // [kept]
  float *candidate_cost, *error, *code;  // [2 kept]
  int* survivor;                         // [kept] candidate number
};

__device__ Shared shared_of(int kept) {
  Shared shared;
  float* at = dynamic_shared<float>();
  const auto take = [&](int count) {
    float* const place = at;
    at += count;
    return place;
  };
  shared.weights[0] = take(kept * pitch);
  shared.weights[1] = take(kept * pitch);
  shared.cost = take(kept);
  shared.candidate_cost = take(2 * kept);
  shared.error = take(2 * kept);
  shared.code = take(2 * kept);
  shared.survivor = reinterpret_cast<int*>(take(kept));
  return shared;
}

/// Both candidates of this thread's prefixes at column c.
__device__ void propose(const Panel& panel, const Shared& shared, const float* now, Index row,
                        int prefixes, int c) {
  const std::int32_t group = panel.grid.group[c];
  const float scale = panel.grid.scale(row, group), zero = panel.grid.zero(row, group),
              top = panel.grid.top, diagonal = panel.U(c, c);
  for (int k = static_cast<int>(threadIdx.x); k < prefixes; k += static_cast<int>(blockDim.x)) {
    const float w = now[k * pitch + c], near = device_code_of(w, scale, zero, top),
                distance = w - scale * (near - zero);
    float other = distance > 0.f ? near + 1.f : near - 1.f;
    other = other < 0.f ? 1.f : other > top ? top - 1.f : other;
    const float errors[2] = {distance / diagonal, (w - scale * (other - zero)) / diagonal};
    for (int second = 0; second < 2; ++second) {
      const int number = second * prefixes + k;
      shared.code[number] = second == 0 ? near : other;
      shared.error[number] = errors[second];
      shared.candidate_cost[number] = shared.cost[k] + errors[second] * errors[second];
    }
  }
}

/// survivor[rank] = candidate for those of low rank; costs that are no numbers leave what is there.
__device__ void rank(const Shared& shared, int candidates, int survivors) {
  for (int i = static_cast<int>(threadIdx.x); i < candidates; i += static_cast<int>(blockDim.x)) {
    const float own = shared.candidate_cost[i];
    int before = 0;
    for (int j = 0; j < candidates; ++j) {
      const float other = shared.candidate_cost[j];
      before += other < own || (other == own && j < i) ? 1 : 0;
    }
    if (before < survivors) shared.survivor[before] = i;
  }
}

__device__ inline int parent_of(int candidate, int prefixes) {
  return candidate < prefixes ? candidate : candidate - prefixes;
}

/// What a survivor takes along: the weights behind column c, a warp a prefix.
__device__ void spread(const Panel& panel, const Shared& shared, const float* now, float* next,
                       int prefixes, int survivors, int c) {
  const int n = static_cast<int>(panel.U.cols), lane = static_cast<int>(threadIdx.x) % warp_size,
            warps = static_cast<int>(blockDim.x) / warp_size;
  for (int k = static_cast<int>(threadIdx.x) / warp_size; k < survivors; k += warps) {
    const int candidate = shared.survivor[k];
    const float error = shared.error[candidate];
    const float* const from = now + parent_of(candidate, prefixes) * pitch;
    for (int j = c + 1 + lane; j < n; j += warp_size)
      next[k * pitch + j] = from[j] - error * panel.U(c, j);
  }
}

__device__ void sweep_row(const Panel& panel, const Shared& shared, Index row) {
  const int n = static_cast<int>(panel.U.cols), thread = static_cast<int>(threadIdx.x),
            threads = static_cast<int>(blockDim.x);
  for (int i = thread; i < panel.before * n; i += threads)
    shared.weights[0][i / n * pitch + i % n] = panel.W(row * panel.before + i / n, i % n);
  for (int k = thread; k < panel.before; k += threads) shared.cost[k] = panel.result.cost(row, k);
  for (int k = thread; k < panel.kept; k += threads) shared.survivor[k] = 0;
  __syncthreads();
  int prefixes = panel.before;
  for (int c = 0; c < n; ++c) {
    float *const now = shared.weights[c % 2], *const next = shared.weights[(c + 1) % 2];
    const int candidates = 2 * prefixes, survivors = min(panel.kept, candidates);
    propose(panel, shared, now, row, prefixes, c);
    __syncthreads();
    rank(shared, candidates, survivors);
    __syncthreads();
    for (int k = thread; k < survivors; k += threads) {
      const int candidate = shared.survivor[k];
      shared.cost[k] = shared.candidate_cost[candidate];
      next[k * pitch + c] = shared.error[candidate];
      now[k * pitch + c] = shared.code[candidate] +
                           codes_a_parent * static_cast<float>(parent_of(candidate, prefixes));
    }
    spread(panel, shared, now, next, prefixes, survivors, c);
    __syncthreads();
    prefixes = survivors;
  }
}

__global__ void beam_panel(Panel panel) {
  const Shared shared = shared_of(panel.kept);
  const auto& result = panel.result;
  const int n = static_cast<int>(panel.U.cols);
  for (Index row = blockIdx.x; row < result.root.rows; row += gridDim.x) {
    sweep_row(panel, shared, row);
    for (int k = static_cast<int>(threadIdx.x); k < panel.after;
         k += static_cast<int>(blockDim.x)) {  // back along the survivor's ancestors
      int at = k;
      for (int c = n - 1; c >= 0; --c) {
        const int place = at * pitch + c;
        const int step = static_cast<int>(shared.weights[c % 2][place]);
        result.errors(row * panel.after + k, c) = shared.weights[(c + 1) % 2][place];
        result.codes(row * panel.after + k, c) = static_cast<std::uint8_t>(step % 256);
        at = step / 256;
      }
      result.root(row, k) = static_cast<std::uint8_t>(at);
      result.cost(row, k) = shared.cost[k] - shared.cost[0];
    }
    __syncthreads();
  }
}

/// A block takes 256 columns and strides over the survivors.
__global__ void take_rows(DeviceView<const float> from, int before,
                          DeviceView<const std::uint8_t> root, DeviceView<float> to) {
  const Index c = Index{blockIdx.x} * blockDim.x + threadIdx.x, after = root.cols;
  if (c >= to.cols) return;
  for (Index i = blockIdx.y; i < to.rows; i += gridDim.y)
    to(i, c) = from(i / after * before + root(i / after, i % after), c);
}

/// One row a block.
__global__ void take_cheapest(DeviceView<const std::uint8_t> swept,
                              DeviceView<const std::uint8_t> roots,
                              DeviceView<std::uint8_t> codes) {
  constexpr Index width = sweep_panel;
  const Index panels = (codes.cols + width - 1) / width, after = roots.cols;
  for (Index row = blockIdx.x; row < codes.rows; row += gridDim.x) {
    Index k = 0;
    for (Index panel = panels - 1; panel >= 0; --panel) {
      for (Index c = panel * width + threadIdx.x; c < codes.cols && c < (panel + 1) * width;
           c += blockDim.x)
        codes(row, c) = swept(row * after + k, c);
      k = roots(panel * codes.rows + row, k);
    }
  }
}

}  // namespace

void beam_sweep(const device::Stream& stream, DeviceView<const float> W, Index before,
                DeviceView<const float> U, const DevicePanelGrid& grid, Index kept,
                const BeamResult<float, Space::device>& result) {
  const Index n = W.cols, rows = result.root.rows, after = result.root.cols;
  CONSTRICTOR_REQUIRE(n <= sweep_panel && U.rows == n && U.cols == n && kept <= most_prefixes, n,
                      U.rows, U.cols, kept);
  CONSTRICTOR_REQUIRE(W.rows == rows * before && (before == 1 || before == kept) &&
                          after == (before == 1 ? prefixes_after(n, kept) : kept),
                      W.rows, rows, before, after, kept);
  if (W.size() == 0) return;
  const int beam = static_cast<int>(kept), threads = warp_size * std::max(1, beam / 16);
  launch("beam_sweep", beam_panel,
         {grid_of(rows, 1), dim3(static_cast<unsigned>(threads)),
          sizeof(float) * static_cast<std::size_t>(shared_floats(beam))},
         stream,
         Panel{W, U, grid, result, static_cast<int>(before), beam, static_cast<int>(after)});
}

void take_survivors(const device::Stream& stream, DeviceView<const float> from, Index before,
                    DeviceView<const std::uint8_t> root, DeviceView<float> to) {
  CONSTRICTOR_REQUIRE(
      from.rows == root.rows * before && to.rows == root.size() && from.cols == to.cols, from.rows,
      root.rows, before, to.rows, from.cols, to.cols);
  constexpr int threads = 256;
  dim3 blocks = grid_of(to.cols, threads);
  blocks.y = grid_of(to.rows, 1, 65535).x;
  launch("take_survivors", take_rows, {blocks, dim3(threads)}, stream, from,
         static_cast<int>(before), root, to);
}

void cheapest_codes(const device::Stream& stream, DeviceView<const std::uint8_t> swept,
                    DeviceView<const std::uint8_t> roots, DeviceView<std::uint8_t> codes) {
  launch("cheapest_codes", take_cheapest, {grid_of(codes.rows, 1), dim3(128)}, stream, swept, roots,
         codes);
}

}  // namespace constrictor::kernels
