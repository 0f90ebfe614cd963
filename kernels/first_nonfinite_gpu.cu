// SPDX-License-Identifier: Apache-2.0
#include "kernels/first_nonfinite.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

__global__ void put(Index value, Index* to) { *to = value; }

template <class T, int width>
__global__ void find_nonfinite_rows(DeviceView<const T> X, Index* first) {
  const Index row = blockIdx.x;
  float sum = 0;  // NaN and Inf survive a sum of v * 0
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    const auto pack = load<width>(X.row(row) + c);
    for (int i = 0; i < width; ++i) sum += pack.values[i] * 0.0f;
  }
  // The minimum of integers does not depend on who comes first.
  if (!(sum == 0.0f))
    atomicMin(reinterpret_cast<unsigned long long*>(first), static_cast<unsigned long long>(row));
}

}  // namespace

template <class T>
void first_nonfinite_row(const device::Stream& stream, DeviceView<const T> X,
                         DeviceView<Index> first) {
  static_assert(sizeof(Index) == sizeof(unsigned long long));
  CONSTRICTOR_REQUIRE(first.rows == 1 && first.cols == 1, first.rows, first.cols);
  launch("put", put, {dim3(1), dim3(1)}, stream, X.rows, first.data);
  launch_rows("first_nonfinite_row", in_fours(X), find_nonfinite_rows<T, 4>,
              find_nonfinite_rows<T, 1>, X.rows, X.cols, stream, X, first.data);
}

template void first_nonfinite_row(const device::Stream&, DeviceView<const float>,
                                  DeviceView<Index>);
template void first_nonfinite_row(const device::Stream&, DeviceView<const bfloat16>,
                                  DeviceView<Index>);

}  // namespace constrictor::kernels
