// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "device/device_matrix.hpp"
#include "kernels/launch.cuh"
#include "kernels/scan.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256;
constexpr Index most_blocks = 1024;
constexpr Index nowhere = std::numeric_limits<Index>::max();

struct NotFinite {
  __device__ bool operator()(float v) const {
    return !(fabsf(v) <= std::numeric_limits<float>::max());
  }
};
struct NotZero {
  __device__ bool operator()(float v) const { return !(v == 0.f); }
};

__device__ inline Index warp_min(Index value) {
  for (int step = warp_size / 2; step > 0; step /= 2) {
    const Index other = __shfl_xor_sync(0xffffffffu, value, step);
    value = other < value ? other : value;
  }
  return value;
}

/// Block b looks through the rows b, b + blocks, ...: first <- what it found, [blocks].
template <class Predicate>
__global__ void first_where_kernel(DeviceView<const float> M, Predicate holds, Index* first) {
  __shared__ Index of_warp[threads / warp_size];
  Index found = nowhere;
  for (Index r = blockIdx.x; r < M.rows && found == nowhere; r += gridDim.x)
    for (Index c = threadIdx.x; c < M.cols; c += threads)
      if (holds(M(r, c))) {
        found = r * M.cols + c;
        break;
      }
  found = warp_min(found);
  if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = found;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const Index other : of_warp) found = other < found ? other : found;
  first[blockIdx.x] = found;
}

template <class Predicate>
Index first_where(const char* name, const device::Context& gpu, DeviceView<const float> M) {
  if (M.size() == 0) return -1;
  const Index blocks = std::min(M.rows, most_blocks);
  device::DeviceMatrix<Index> first(gpu, 1, blocks, "a search in a matrix");
  launch(name, first_where_kernel<Predicate>, {dim3(static_cast<unsigned>(blocks)), dim3(threads)},
         gpu.main(), M, Predicate{}, first.data());
  const auto host = device::downloaded<Index>(gpu, first.view());
  const Index least = *std::min_element(host.values().begin(), host.values().end());
  return least == nowhere ? -1 : least;
}

}  // namespace

Index first_not_finite(const device::Context& gpu, DeviceView<const float> M) {
  return first_where<NotFinite>("first_not_finite", gpu, M);
}
Index first_not_zero(const device::Context& gpu, DeviceView<const float> M) {
  return first_where<NotZero>("first_not_zero", gpu, M);
}

}  // namespace constrictor::kernels
