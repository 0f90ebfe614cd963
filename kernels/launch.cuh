// SPDX-License-Identifier: Apache-2.0
#pragma once
// How kernels are launched and what they share. Included by *_gpu.cu only. The same text compiles
// with nvcc and, in the tests, as C++ against tests/emulation (no <<<>>>, no `extern __shared__`
// outside `dynamic_shared`).
#include <cuda_runtime.h>

#include <utility>

#include "core/matrix.hpp"
#include "device/check_cuda.hpp"
#include "device/stream.hpp"

// Before a loop over an array that has to stay in registers.
#ifdef CONSTRICTOR_EMULATED_CUDA
#define CONSTRICTOR_UNROLL
#else
#define CONSTRICTOR_UNROLL _Pragma("unroll")
#endif

namespace constrictor::kernels {

inline constexpr int warp_size = 32;

struct LaunchShape {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;  // dynamic
};

/// Queues kernel(arguments...) on the stream. Nothing is launched for an empty grid.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
            const device::Stream& stream, Arguments&&... arguments) {
  if (shape.blocks.x == 0 || shape.blocks.y == 0 || shape.blocks.z == 0) return;
  constexpr std::size_t without_asking = 48 << 10;
  if (shape.shared_bytes > without_asking)
    device::launch_check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                              cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              static_cast<int>(shape.shared_bytes)),
                         name, stream.name());
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = shape.blocks;
  configuration.blockDim = shape.threads;
  configuration.dynamicSmemBytes = shape.shared_bytes;
  configuration.stream = stream.raw();
#ifdef CONSTRICTOR_EMULATED_CUDA
  emulated_kernel_name(name);
#endif
  device::launch_check(
      cudaLaunchKernelEx(&configuration, kernel, Parameters(std::forward<Arguments>(arguments))...),
      name, stream.name());
}

/// Blocks for `count` pieces of work, `each` a block; kernels stride over the grid when it is
/// capped.
inline dim3 grid_of(Index count, Index each, Index most = 1 << 16) {
  const Index blocks = (count + each - 1) / each;
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}

/// The block's dynamic shared memory.
template <class T>
__device__ inline T* dynamic_shared() {
#ifdef CONSTRICTOR_EMULATED_CUDA
  return static_cast<T*>(emulated_dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char constrictor_dynamic_shared[];
  return reinterpret_cast<T*>(constrictor_dynamic_shared);
#endif
}

template <class T>
__device__ inline T warp_sum(T value) {
  for (int step = warp_size / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}
template <class T>
__device__ inline T warp_max(T value) {
  for (int step = warp_size / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// The sum over all threads of a one-dimensional block (a multiple of 32, at most 1024), in every
/// thread; the same order of additions whatever else runs.
template <class T>
__device__ inline T block_sum(T value) {
  __shared__ T partial[warp_size];
  const unsigned lane = threadIdx.x % warp_size, warp = threadIdx.x / warp_size;
  value = warp_sum(value);
  __syncthreads();  // partial may still be read from the call before
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  const unsigned warps = (blockDim.x + warp_size - 1) / warp_size;
  value = lane < warps ? partial[lane] : T(0);
  return warp_sum(value);
}

}  // namespace constrictor::kernels
