// SPDX-License-Identifier: Apache-2.0
#include "kernels/gate.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

struct Silu {
  __device__ float operator()(float x) const { return x / (1.0f + expf(-x)); }
};
struct GeluTanh {
  __device__ float operator()(float x) const {
    constexpr float root = 0.7978845608f;  // sqrt(2 / π)
    return 0.5f * x * (1.0f + tanhf(root * (x + 0.044715f * x * x * x)));
  }
};

template <class Function, class E, int width>
__global__ void gate_rows(DeviceView<const float> G, DeviceView<const float> U, DeviceView<E> Y) {
  const Index row = blockIdx.x;
  for (Index c = first_column<width>(); c < U.cols; c += column_step<width>()) {
    const auto g = load<width>(G.row(row) + c);
    auto u = load<width>(U.row(row) + c);
    for (int i = 0; i < width; ++i) u.values[i] *= Function()(g.values[i]);
    store<width>(u, Y.row(row) + c);
  }
}

template <class Function, class E>
void gated(const char* name, const device::Stream& stream, DeviceView<const float> G,
           DeviceView<const float> U, DeviceView<E> Y) {
  CONSTRICTOR_REQUIRE(G.rows == U.rows && G.cols == U.cols, G.rows, G.cols, U.rows, U.cols);
  CONSTRICTOR_REQUIRE(Y.rows == U.rows && Y.cols == U.cols, Y.rows, Y.cols, U.rows, U.cols);
  launch_rows(name, in_fours(G, U, Y), gate_rows<Function, E, 4>, gate_rows<Function, E, 1>, U.rows,
              U.cols, stream, G, U, Y);
}

}  // namespace

template <class E>
void gate(const device::Stream& stream, DeviceView<const float> G, DeviceView<const float> U,
          DeviceView<E> Y) {
  gated<Silu>("gate", stream, G, U, Y);
}
template <class E>
void gelu_gate(const device::Stream& stream, DeviceView<const float> G, DeviceView<const float> U,
               DeviceView<E> Y) {
  gated<GeluTanh>("gelu_gate", stream, G, U, Y);
}

#define CONSTRICTOR_INSTANTIATE(E)                                                                 \
  template void gate(const device::Stream&, DeviceView<const float>, DeviceView<const float>,      \
                     DeviceView<E>);                                                               \
  template void gelu_gate(const device::Stream&, DeviceView<const float>, DeviceView<const float>, \
                          DeviceView<E>);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(bfloat16)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::kernels
