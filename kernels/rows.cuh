// SPDX-License-Identifier: Apache-2.0
#pragma once
// For kernels that work on the rows of matrices, one block a row: access in fours, launch, maximum.
#include <cmath>
#include <cstdint>

#include "core/bfloat16.hpp"
#include "kernels/launch.cuh"

namespace constrictor::kernels {

/// `width` neighbours in a row, moved by one instruction: four are 16 bytes of float, 8 of
/// bfloat16.
template <class T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
};

template <int width, class T>
__device__ inline Pack<float, width> load(const T* from) {
  const auto stored = *reinterpret_cast<const Pack<T, width>*>(from);
  Pack<float, width> pack;
  for (int i = 0; i < width; ++i) pack.values[i] = static_cast<float>(stored.values[i]);
  return pack;
}
template <int width, class T>
__device__ inline void store(const Pack<float, width>& pack, T* to) {
  Pack<T, width> stored;
  for (int i = 0; i < width; ++i) stored.values[i] = static_cast<T>(pack.values[i]);
  *reinterpret_cast<Pack<T, width>*>(to) = stored;
}

/// True when every row of every view can be moved in fours.
template <class... T>
bool in_fours(const DeviceView<T>&... views) {
  return ((views.cols % 4 == 0 && views.stride % 4 == 0 &&
           reinterpret_cast<std::uintptr_t>(views.data) % (4 * sizeof(T)) == 0) &&
          ...);
}

/// Shape for one block a row; `packs`: most that a row has.
inline LaunchShape row_shape(Index rows, Index packs, Index most_threads = 256) {
  const Index wanted = (packs + warp_size - 1) / warp_size * warp_size;
  const Index threads = wanted < warp_size      ? warp_size
                        : wanted < most_threads ? wanted
                                                : most_threads;
  return {dim3(static_cast<unsigned>(rows)), dim3(static_cast<unsigned>(threads))};
}

/// Queues the kernel that moves fours where it may, otherwise the one that moves single elements.
/// Blocks take one row each.
template <class... Parameters, class... Arguments>
void launch_rows(const char* name, bool fours, void (*kernel_of_fours)(Parameters...),
                 void (*kernel_of_ones)(Parameters...), Index rows, Index cols,
                 const device::Stream& stream, Arguments&&... arguments) {
  launch(name, fours ? kernel_of_fours : kernel_of_ones, row_shape(rows, fours ? cols / 4 : cols),
         stream, std::forward<Arguments>(arguments)...);
}

/// First column of this thread's first pack, and from one of its packs to the next.
template <int width>
__device__ inline Index first_column() {
  return static_cast<Index>(threadIdx.x) * width;
}
template <int width>
__device__ inline Index column_step() {
  return static_cast<Index>(blockDim.x) * width;
}

/// The largest over all threads of a block, in every thread; NaN counts as nothing. See block_sum.
template <class T>
__device__ inline T block_max(T value) {
  __shared__ T partial[warp_size];
  const unsigned lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
  value = warp_max(value);
  __syncthreads();  // partial may still be read from the call before
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  const unsigned warps = (blockDim.x + warp_size - 1) / warp_size;
  return warp_max(partial[lane < warps ? lane : 0]);
}

}  // namespace constrictor::kernels
