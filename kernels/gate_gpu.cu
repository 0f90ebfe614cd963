// SPDX-License-Identifier: Apache-2.0
#include "kernels/gate.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

template <class E, int width>
__global__ void gate_rows(DeviceView<const float> G, DeviceView<const float> U, DeviceView<E> Y) {
  const Index row = blockIdx.x;
  for (Index c = first_column<width>(); c < U.cols; c += column_step<width>()) {
    const auto g = load<width>(G.row(row) + c);
    auto u = load<width>(U.row(row) + c);
    for (int i = 0; i < width; ++i) u.values[i] *= g.values[i] / (1.0f + expf(-g.values[i]));
    store<width>(u, Y.row(row) + c);
  }
}

}  // namespace

template <class E>
void gate(const device::Stream& stream, DeviceView<const float> G, DeviceView<const float> U,
          DeviceView<E> Y) {
  CONSTRICTOR_REQUIRE(G.rows == U.rows && G.cols == U.cols, G.rows, G.cols, U.rows, U.cols);
  CONSTRICTOR_REQUIRE(Y.rows == U.rows && Y.cols == U.cols, Y.rows, Y.cols, U.rows, U.cols);
  launch_rows("gate", in_fours(G, U, Y), gate_rows<E, 4>, gate_rows<E, 1>, U.rows, U.cols, stream,
              G, U, Y);
}

template void gate(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                   DeviceView<float>);
template void gate(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                   DeviceView<bfloat16>);

}  // namespace constrictor::kernels
