// SPDX-License-Identifier: Apache-2.0
#pragma once
// Stands for the toolkit's cuda_runtime.h: the same text compiles as C++ and runs on the CPU, one
// fiber a thread of a block (block.cpp), blocks spread over the processor's cores (launch.cpp).
//
// What the emulation is strict about, so that mistakes show without a GPU:
//   - fresh device and dynamic shared memory holds NaN; writes outside an allocation are noticed
//   - barriers and shuffles that not all threads reach, or that some reach elsewhere
//   - more shared memory or threads than an H100 gives, or more than was asked for
// What it cannot see: races between streams (unless CONSTRICTOR_EMULATED_STREAMS=lazy), races
// between blocks, missing __threadfence, speed, accuracy of the hardware's approximate functions.
#include <cmath>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"

#define __host__
#define __device__
#define __global__
#define __constant__
#define __grid_constant__
// A block runs on one thread of the operating system, and one block at a time.
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __forceinline__ inline __attribute__((always_inline))

#include "device_functions.h"

namespace emulation {
/// `thread` is the kernel with its arguments: what each thread of the grid calls.
cudaError_t launch(const cudaLaunchConfig_t& configuration, const void* function,
                   std::function<void()> thread);
}  // namespace emulation

/// Names the next launch of this thread in the emulation's messages and faults.
void emulated_kernel_name(const char* name);

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* configuration,
                               void (*kernel)(Parameters...), Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                "a kernel's arguments are copied to the device byte by byte");
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "too many bytes of kernel arguments");
  const std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
  return emulation::launch(*configuration, reinterpret_cast<const void*>(kernel),
                           [kernel, values] { std::apply(kernel, values); });
}
