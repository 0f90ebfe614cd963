// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

/// The angle in float32, cosine and sine in float64, as on the CPU: both find the same numbers.
__global__ void rope_table_rows(DeviceView<const float> frequencies, DeviceView<float> cosines,
                                DeviceView<float> sines) {
  const Index position = blockIdx.x;
  for (Index i = threadIdx.x; i < frequencies.cols; i += blockDim.x) {
    const float angle = static_cast<float>(position) * frequencies(0, i);
    cosines(position, i) = static_cast<float>(cos(static_cast<double>(angle)));
    sines(position, i) = static_cast<float>(sin(static_cast<double>(angle)));
  }
}

template <class E, int width>
__global__ void rope_rows(DeviceView<const float> X, DeviceRopeTable table, Index length,
                          DeviceView<E> Y) {
  const Index token = blockIdx.x, position = token % length;
  const float *cosines = table.cos.row(position), *sines = table.sin.row(position);
  const auto half = static_cast<unsigned>(table.cos.cols);
  const auto pairs = static_cast<unsigned>(X.cols / 2);
  for (unsigned pair = threadIdx.x * width; pair < pairs; pair += blockDim.x * width) {
    const unsigned i = pair % half, first = pair / half * 2 * half + i;
    auto x = load<width>(X.row(token) + first), y = load<width>(X.row(token) + first + half);
    const auto c = load<width>(cosines + i), s = load<width>(sines + i);
    for (int k = 0; k < width; ++k) {
      const float before = x.values[k];
      x.values[k] = before * c.values[k] - y.values[k] * s.values[k];
      y.values[k] = y.values[k] * c.values[k] + before * s.values[k];
    }
    store<width>(x, Y.row(token) + first);
    store<width>(y, Y.row(token) + first + half);
  }
}

}  // namespace

void rope_table(const device::Stream& stream, DeviceView<const float> frequencies,
                DeviceView<float> cos, DeviceView<float> sin) {
  CONSTRICTOR_REQUIRE(frequencies.rows == 1 && cos.cols == frequencies.cols &&
                          sin.cols == frequencies.cols && cos.rows == sin.rows,
                      frequencies.rows, frequencies.cols, cos.rows, cos.cols, sin.rows, sin.cols);
  launch("rope_table", rope_table_rows, row_shape(cos.rows, cos.cols), stream, frequencies, cos,
         sin);
}

template <class E>
void rope(const device::Stream& stream, DeviceView<const float> X, const DeviceRopeTable& table,
          DeviceView<E> Y) {
  const Index length = table.cos.rows, head_dim = 2 * table.cos.cols;
  CONSTRICTOR_REQUIRE(Y.rows == X.rows && Y.cols == X.cols, X.rows, X.cols, Y.rows, Y.cols);
  if (X.size() == 0) return;
  CONSTRICTOR_REQUIRE(head_dim > 0 && X.cols % head_dim == 0, X.cols, head_dim);
  CONSTRICTOR_REQUIRE(length > 0 && X.rows % length == 0, X.rows, length);
  launch_rows("rope", in_fours(X, Y, table.cos, table.sin), rope_rows<E, 4>, rope_rows<E, 1>,
              X.rows, X.cols / 2, stream, X, table, length, Y);
}

template void rope(const device::Stream&, DeviceView<const float>, const DeviceRopeTable&,
                   DeviceView<float>);
template void rope(const device::Stream&, DeviceView<const float>, const DeviceRopeTable&,
                   DeviceView<bfloat16>);

}  // namespace constrictor::kernels
