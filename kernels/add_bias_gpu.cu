// SPDX-License-Identifier: Apache-2.0
#include "kernels/add_bias.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

template <int width>
__global__ void add_bias_rows(DeviceView<const float> b, DeviceView<float> Y) {
  float* y = Y.row(blockIdx.x);
  for (Index c = first_column<width>(); c < Y.cols; c += column_step<width>()) {
    auto sum = load<width>(y + c);
    const auto bias = load<width>(b.data + c);
    for (int i = 0; i < width; ++i) sum.values[i] += bias.values[i];
    store<width>(sum, y + c);
  }
}

}  // namespace

void add_bias(const device::Stream& stream, DeviceView<const float> b, DeviceView<float> Y) {
  CONSTRICTOR_REQUIRE(b.rows == 1 && b.cols == Y.cols, b.rows, b.cols, Y.cols);
  launch_rows("add_bias", in_fours(b, Y), add_bias_rows<4>, add_bias_rows<1>, Y.rows, Y.cols,
              stream, b, Y);
}

}  // namespace constrictor::kernels
