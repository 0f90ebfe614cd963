// SPDX-License-Identifier: Apache-2.0
#include "kernels/launch.cuh"
#include "kernels/permute.hpp"

namespace constrictor::kernels {
namespace {

constexpr int threads = 256;

__device__ inline Index position(const std::int32_t* order, Index i) {
  return order == nullptr ? i : Index{order[i]};
}

/// A block takes 256 columns and strides over the rows.
template <class T>
__global__ void gather_elements(DeviceView<const T> from, Positions at, DeviceView<T> to) {
  const Index c = Index{blockIdx.x} * threads + threadIdx.x;
  if (c >= to.cols) return;
  const Index column = position(at.cols, c);
  for (Index r = blockIdx.y; r < to.rows; r += gridDim.y)
    to(r, c) = from(position(at.rows, r), column);
}

template <class T>
__global__ void scatter_elements(DeviceView<const T> from, Positions at, DeviceView<T> to) {
  const Index c = Index{blockIdx.x} * threads + threadIdx.x;
  if (c >= from.cols) return;
  const Index column = position(at.cols, c);
  for (Index r = blockIdx.y; r < from.rows; r += gridDim.y)
    to(position(at.rows, r), column) = from(r, c);
}

LaunchShape shape_of(Index rows, Index cols) {
  dim3 blocks = grid_of(cols, threads);
  blocks.y = grid_of(rows, 1).x;
  if (blocks.y > 65535) blocks.y = 65535;
  return {blocks, dim3(threads), 0};
}

}  // namespace

template <class T>
void gather(const device::Stream& stream, DeviceView<const T> from, const Positions& positions,
            DeviceView<T> to) {
  launch("gather", gather_elements<T>, shape_of(to.rows, to.cols), stream, from, positions, to);
}

template <class T>
void scatter(const device::Stream& stream, DeviceView<const T> from, const Positions& positions,
             DeviceView<T> to) {
  launch("scatter", scatter_elements<T>, shape_of(from.rows, from.cols), stream, from, positions,
         to);
}

#define CONSTRICTOR_INSTANTIATE(T)                                                    \
  template void gather(const device::Stream&, DeviceView<const T>, const Positions&,  \
                       DeviceView<T>);                                                \
  template void scatter(const device::Stream&, DeviceView<const T>, const Positions&, \
                        DeviceView<T>);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(std::uint8_t)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::kernels
