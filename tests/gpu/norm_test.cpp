// SPDX-License-Identifier: Apache-2.0
#include "kernels/norm.hpp"

#include "tests/gpu/on_device.hpp"

namespace constrictor::kernels {
namespace {

using test::DeviceFrame;

// Means and roots are float64 on both sides: what differs is the last rounding or two.
constexpr double norm_tolerance = 4 * test::float_epsilon;
constexpr double rms_eps = 1;  // mean squares are 900: without it every result would be off

struct DeviceNorms : test::OnDeviceRows {
  Index rows = GetParam().rows, cols = GetParam().cols, margin = GetParam().margin;
  // a mean far from zero: the variance must not be found as a difference of two large sums
  Matrix<float> X = shifted(test::random_matrix(rows, cols, 1, 0.5), 30);
  std::vector<float> w = test::random_vector(cols, 2), b = test::random_vector(cols, 3);
  device::DeviceMatrix<float> device_w = row(w), device_b = row(b);

  static Matrix<float> shifted(Matrix<float> m, float by) {
    for (float& v : m.values()) v += by;
    return m;
  }
  device::DeviceMatrix<float> row(const std::vector<float>& values) {
    return to_device(Matrix<float>({values.data(), 1, cols, cols}));
  }

  template <class E>
  void expect_rms_norm() {
    Matrix<float> expected(rows, cols);
    rms_norm(X.view(), w, rms_eps, expected.view());
    DeviceFrame<float> device_x(gpu, X, margin);
    DeviceFrame<E> found(gpu, rows, cols, margin);
    rms_norm<E>(gpu.main(), device_x.view(), device_w.view(), rms_eps, found.view());
    test::expect_near(found.values(), expected, norm_tolerance + test::rounding_of<E>);
  }
  template <class E>
  void expect_layer_norm() {
    Matrix<float> expected(rows, cols);
    layer_norm(X.view(), w, b, 1e-5, expected.view());
    DeviceFrame<float> device_x(gpu, X, margin);
    DeviceFrame<E> found(gpu, rows, cols, margin);
    layer_norm<E>(gpu.main(), device_x.view(), device_w.view(), device_b.view(), 1e-5,
                  found.view());
    // w x' and b may cancel; neither is above 2 in size
    test::expect_near(found.values(), expected, norm_tolerance + test::rounding_of<E>,
                      2 * norm_tolerance);
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceNorms, testing::ValuesIn(test::ragged_shapes));

TEST_P(DeviceNorms, Rms) {
  expect_rms_norm<float>();
  expect_rms_norm<bfloat16>();
}
TEST_P(DeviceNorms, Layer) {
  expect_layer_norm<float>();
  expect_layer_norm<bfloat16>();
}
TEST_P(DeviceNorms, InPlace) {
  DeviceFrame<float> found(gpu, X, margin);
  layer_norm<float>(gpu.main(), found.view(), device_w.view(), device_b.view(), 1e-5, found.view());
  layer_norm(X.view(), w, b, 1e-5, X.view());
  test::expect_near(found.values(), X, norm_tolerance, 2 * norm_tolerance);
}

}  // namespace
}  // namespace constrictor::kernels
