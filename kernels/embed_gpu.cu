// SPDX-License-Identifier: Apache-2.0
#include "kernels/embed.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

template <int width>
__global__ void embed_rows(DeviceView<const float> E, DeviceView<const std::int32_t> ids,
                           DeviceView<float> X) {
  const Index row = blockIdx.x;
  const float* from = E.row(ids(row / ids.cols, row % ids.cols));
  float* to = X.row(row);
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>())
    store<width>(load<width>(from + c), to + c);
}

template <int width>
__global__ void add_position_rows(DeviceView<const float> P, Index offset, Index length,
                                  DeviceView<float> X) {
  const Index row = blockIdx.x;
  const float* position = P.row(row % length + offset);
  float* x = X.row(row);
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    auto sum = load<width>(x + c);
    const auto other = load<width>(position + c);
    for (int i = 0; i < width; ++i) sum.values[i] += other.values[i];
    store<width>(sum, x + c);
  }
}

}  // namespace

void embed(const device::Stream& stream, DeviceView<const float> E,
           DeviceView<const std::int32_t> ids, DeviceView<float> X) {
  CONSTRICTOR_REQUIRE(X.rows == ids.size() && X.cols == E.cols, X.rows, X.cols, ids.size(), E.cols);
  launch_rows("embed", in_fours(E, X), embed_rows<4>, embed_rows<1>, X.rows, X.cols, stream, E, ids,
              X);
}

void add_positions(const device::Stream& stream, DeviceView<const float> P, Index offset,
                   Index length, DeviceView<float> X) {
  CONSTRICTOR_REQUIRE(P.cols == X.cols && P.rows >= length + offset, P.rows, P.cols, X.cols, length,
                      offset);
  CONSTRICTOR_REQUIRE(X.rows == 0 || (length > 0 && X.rows % length == 0), X.rows, length);
  launch_rows("add_positions", in_fours(P, X), add_position_rows<4>, add_position_rows<1>, X.rows,
              X.cols, stream, P, offset, length, X);
}

}  // namespace constrictor::kernels
