// SPDX-License-Identifier: Apache-2.0
#include "kernels/error_sums.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

template <int width>
__global__ void error_sum_rows(DeviceView<const float> X, DeviceView<const float> Y,
                               DeviceView<double> sums) {
  const Index row = blockIdx.x;
  double error = 0, xx = 0, yy = 0, xy = 0;
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    const auto x_pack = load<width>(X.row(row) + c), y_pack = load<width>(Y.row(row) + c);
    for (int i = 0; i < width; ++i) {
      const auto x = static_cast<double>(x_pack.values[i]),
                 y = static_cast<double>(y_pack.values[i]);
      error += (y - x) * (y - x);
      xx += x * x;
      yy += y * y;
      xy += x * y;
    }
  }
  error = block_sum(error);
  xx = block_sum(xx);
  yy = block_sum(yy);
  xy = block_sum(xy);
  if (threadIdx.x != 0) return;
  sums(row, 0) = error;
  sums(row, 1) = xx;
  sums(row, 2) = yy;
  sums(row, 3) = xy;
}

}  // namespace

void error_sums(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> Y,
                DeviceView<double> sums) {
  CONSTRICTOR_REQUIRE(X.rows == Y.rows && X.cols == Y.cols, X.rows, X.cols, Y.rows, Y.cols);
  CONSTRICTOR_REQUIRE(sums.rows == X.rows && sums.cols == 4, X.rows, sums.rows, sums.cols);
  launch_rows("error_sums", in_fours(X, Y), error_sum_rows<4>, error_sum_rows<1>, X.rows, X.cols,
              stream, X, Y, sums);
}

}  // namespace constrictor::kernels
