// SPDX-License-Identifier: Apache-2.0
// A row is read again from the cache, not from memory, for every further pass over it.
#include "kernels/norm.hpp"
#include "kernels/rows.cuh"

namespace constrictor::kernels {
namespace {

/// Σ (x_c - centre)² over the block's row, in every thread.
template <int width>
__device__ double squares_around(const float* x, Index cols, double centre) {
  double sum = 0;
  for (Index c = first_column<width>(); c < cols; c += column_step<width>()) {
    const auto pack = load<width>(x + c);
    for (int i = 0; i < width; ++i) {
      const double d = static_cast<double>(pack.values[i]) - centre;
      sum += d * d;
    }
  }
  return block_sum(sum);
}

__device__ float inverse_root(double squares, Index cols, double eps) {
  return static_cast<float>(1.0 / sqrt(squares / static_cast<double>(cols) + eps));
}

template <class E, int width>
__global__ void rms_norm_rows(DeviceView<const float> X, DeviceView<const float> w, double eps,
                              DeviceView<E> Y) {
  const float* x = X.row(blockIdx.x);
  E* y = Y.row(blockIdx.x);
  const float scale = inverse_root(squares_around<width>(x, X.cols, 0), X.cols, eps);
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    auto pack = load<width>(x + c);
    const auto weight = load<width>(w.data + c);
    for (int i = 0; i < width; ++i) pack.values[i] = weight.values[i] * (pack.values[i] * scale);
    store<width>(pack, y + c);
  }
}

template <class E, int width>
__global__ void layer_norm_rows(DeviceView<const float> X, DeviceView<const float> w,
                                DeviceView<const float> b, double eps, DeviceView<E> Y) {
  const float* x = X.row(blockIdx.x);
  E* y = Y.row(blockIdx.x);
  double sum = 0;
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    const auto pack = load<width>(x + c);
    for (int i = 0; i < width; ++i) sum += static_cast<double>(pack.values[i]);
  }
  const double mean = block_sum(sum) / static_cast<double>(X.cols);
  const float scale = inverse_root(squares_around<width>(x, X.cols, mean), X.cols, eps);
  const float centre = static_cast<float>(mean);
  for (Index c = first_column<width>(); c < X.cols; c += column_step<width>()) {
    auto pack = load<width>(x + c);
    const auto weight = load<width>(w.data + c);
    const auto bias = load<width>(b.data + c);
    for (int i = 0; i < width; ++i)
      pack.values[i] = weight.values[i] * ((pack.values[i] - centre) * scale) + bias.values[i];
    store<width>(pack, y + c);
  }
}

}  // namespace

template <class E>
void rms_norm(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> w,
              double eps, DeviceView<E> Y) {
  CONSTRICTOR_REQUIRE(Y.rows == X.rows && Y.cols == X.cols, X.rows, X.cols, Y.rows, Y.cols);
  CONSTRICTOR_REQUIRE(w.rows == 1 && w.cols == X.cols, w.rows, w.cols, X.cols);
  launch_rows("rms_norm", in_fours(X, w, Y), rms_norm_rows<E, 4>, rms_norm_rows<E, 1>, X.rows,
              X.cols, stream, X, w, eps, Y);
}

template <class E>
void layer_norm(const device::Stream& stream, DeviceView<const float> X, DeviceView<const float> w,
                DeviceView<const float> b, double eps, DeviceView<E> Y) {
  CONSTRICTOR_REQUIRE(Y.rows == X.rows && Y.cols == X.cols, X.rows, X.cols, Y.rows, Y.cols);
  CONSTRICTOR_REQUIRE(w.rows == 1 && w.cols == X.cols && b.rows == 1 && b.cols == X.cols, w.rows,
                      w.cols, b.rows, b.cols, X.cols);
  launch_rows("layer_norm", in_fours(X, w, b, Y), layer_norm_rows<E, 4>, layer_norm_rows<E, 1>,
              X.rows, X.cols, stream, X, w, b, eps, Y);
}

template void rms_norm(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                       double, DeviceView<float>);
template void rms_norm(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                       double, DeviceView<bfloat16>);
template void layer_norm(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                         DeviceView<const float>, double, DeviceView<float>);
template void layer_norm(const device::Stream&, DeviceView<const float>, DeviceView<const float>,
                         DeviceView<const float>, double, DeviceView<bfloat16>);

}  // namespace constrictor::kernels
