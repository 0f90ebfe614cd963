// SPDX-License-Identifier: Apache-2.0
#include "kernels/elements.cuh"
#include "kernels/pivoting.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = static_cast<int>(pivot_block);

struct Least {
  double value;
  int at;
};
/// The smaller one; of equal ones that of the lower position.
__device__ inline Least lesser(Least a, Least b) {
  return b.value < a.value || (b.value == a.value && b.at < a.at) ? b : a;
}

/// The least over all threads of the block, in every thread.
__device__ Least block_least(Least own) {
  __shared__ double values[threads];
  __shared__ int places[threads];
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // they may still be read from the call before
  values[thread] = own.value;
  places[thread] = own.at;
  __syncthreads();
  for (int step = threads / 2; step > 0; step /= 2) {
    if (thread < step) {
      const Least found =
          lesser({values[thread], places[thread]}, {values[thread + step], places[thread + step]});
      values[thread] = found.value;
      places[thread] = found.at;
    }
    __syncthreads();
  }
  return {values[0], places[0]};
}

__device__ inline Least nothing() { return {INFINITY, 0}; }

/// Row `slot` of the minima <- that of this block's columns.
template <class T>
__device__ void write_least(const PivotPanel<T>& panel, Index j, Index slot) {
  Least own = nothing();
  if (j < panel.A.cols) own = {panel.diagonal(0, j), static_cast<int>(j)};
  own = block_least(own);
  if (threadIdx.x != 0) return;
  panel.least(slot, blockIdx.x) = own.value;
  panel.at(slot, blockIdx.x) = own.at;
}

template <class T>
__global__ void first_least(PivotPanel<T> panel) {
  write_least(panel, Index{blockIdx.x} * threads + threadIdx.x, 0);
}

template <class T>
__global__ void pivot_step(PivotPanel<T> panel, int k) {
  // Every block finds the pivot by itself, from the minima that the step before has left.
  Least pivot = nothing();
  for (unsigned b = threadIdx.x; b < gridDim.x; b += threads)
    pivot = lesser(pivot, {panel.least(k % 2, b), panel.at(k % 2, b)});
  pivot = block_least(pivot);
  const Index j = Index{blockIdx.x} * threads + threadIdx.x, p = pivot.at;
  if (j < panel.A.cols) {
    T v = j < p ? panel.A(j, p) : panel.A(p, j);
    for (int i = 0; i < k; ++i) v -= panel.L(i, p) * panel.L(i, j);
    v *= static_cast<T>(1 / sqrt(pivot.value));
    panel.L(k, j) = v;
    const auto wide = static_cast<double>(v);
    panel.diagonal(0, j) = j == p ? INFINITY : panel.diagonal(0, j) - wide * wide;
    if (j == p) {
      panel.pivots(0, k) = pivot.value;
      panel.chosen(0, k) = pivot.at;
    }
  }
  write_least(panel, j, (k + 1) % 2);
}

template <class T>
struct KeepColumns {
  DeviceView<const T> from;
  const std::int32_t* kept;
  bool all_rows;
  DeviceView<T> to;
  __device__ void operator()(Index r, Index c) const {
    if (all_rows)
      to(r, c) = from(r, kept[c]);
    else if (c >= r)
      to(r, c) = from(kept[r], kept[c]);
  }
};

}  // namespace

template <class T>
void find_least(const device::Stream& stream, const PivotPanel<T>& panel) {
  launch("first_least", first_least<T>, {grid_of(panel.A.cols, threads), dim3(threads)}, stream,
         panel);
}

template <class T>
void eliminate(const device::Stream& stream, const PivotPanel<T>& panel, Index k) {
  const Index n = panel.A.cols, blocks = grid_of(n, threads).x;
  CONSTRICTOR_REQUIRE(k < panel.L.rows && panel.L.cols == n && panel.diagonal.cols == n &&
                          panel.least.cols >= blocks && panel.at.cols >= blocks,
                      k, panel.L.rows, panel.L.cols, n, panel.least.cols);
  launch("pivot_step", pivot_step<T>, {grid_of(n, threads), dim3(threads)}, stream, panel,
         static_cast<int>(k));
}

template <class T>
void keep_columns(const device::Stream& stream, DeviceView<const T> from, const std::int32_t* kept,
                  bool all_rows, DeviceView<T> to) {
  for_each_element("keep_columns", stream, to.rows, to.cols,
                   KeepColumns<T>{from, kept, all_rows, to});
}

#define CONSTRICTOR_INSTANTIATE(T)                                                            \
  template void find_least(const device::Stream&, const PivotPanel<T>&);                      \
  template void eliminate(const device::Stream&, const PivotPanel<T>&, Index);                \
  template void keep_columns(const device::Stream&, DeviceView<const T>, const std::int32_t*, \
                             bool, DeviceView<T>);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::kernels
