// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests that run the same input through the CPU oracle and the device.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "core/bfloat16.hpp"
#include "device/device_matrix.hpp"
#include "tests/unit/kernels/values.hpp"

namespace constrictor::test {

/// What rounding a result to E adds to its relative error.
template <class E>
inline constexpr double rounding_of = std::is_same_v<E, float> ? 0.0 : 1.0 / 256;

/// Every |found - expected| <= tolerance * |expected| + absolute, written so that NaN fails unless
/// both are NaN.
template <class Found, class Expected>
void expect_near(View<const Found> found, View<const Expected> expected, double tolerance,
                 double absolute = 0) {
  ASSERT_EQ(found.rows, expected.rows);
  ASSERT_EQ(found.cols, expected.cols);
  for (Index r = 0; r < found.rows; ++r)
    for (Index c = 0; c < found.cols; ++c) {
      const auto value = static_cast<double>(static_cast<float>(found(r, c)));
      const auto wanted = static_cast<double>(static_cast<float>(expected(r, c)));
      if (std::isnan(value) && std::isnan(wanted)) continue;
      ASSERT_LE(std::abs(value - wanted), tolerance * std::abs(wanted) + absolute)
          << "row " << r << ", column " << c << ": " << value << " instead of " << wanted;
    }
}
template <class Found, class Expected>
void expect_near(const Matrix<Found>& found, const Matrix<Expected>& expected, double tolerance,
                 double absolute = 0) {
  expect_near<Found, Expected>(found.view(), expected.view(), tolerance, absolute);
}

/// A [rows x cols] window into device memory whose margin must stay as it is. Without a margin rows
/// begin where fours may be moved (cols a multiple of 4), with it they do not.
template <class T>
class DeviceFrame {
 public:
  DeviceFrame(const device::Context& gpu, Index rows, Index cols, Index margin)
      : gpu_(gpu),
        margin_(margin),
        rows_(rows),
        cols_(cols),
        all_(gpu, rows + 2 * margin, cols + 3 * margin, "a framed matrix") {
    Matrix<T> values(all_.rows(), all_.cols());
    values.fill(untouched());
    device::upload<T>(values.view(), all_.view(), gpu.main());
    gpu.main().synchronize();
  }
  DeviceFrame(const device::Context& gpu, const Matrix<T>& values, Index margin)
      : DeviceFrame(gpu, values.rows(), values.cols(), margin) {
    device::upload<T>(values.view(), view(), gpu.main());
    gpu.main().synchronize();
  }

  DeviceView<T> view() { return all_.view().block(margin_, margin_, rows_, cols_); }
  /// What the window holds; fails when the margin has changed.
  Matrix<T> values() {
    const Matrix<T> all = device::downloaded<T>(gpu_, all_.view());
    Index kept = 0;
    for (const T value : all.values())
      kept += static_cast<float>(value) == static_cast<float>(untouched());
    EXPECT_GE(kept, all.size() - rows_ * cols_) << "the margin was written to";
    return Matrix<T>(all.view().block(margin_, margin_, rows_, cols_));
  }

 private:
  static T untouched() { return T(12352.f); }  // the same in bfloat16
  const device::Context& gpu_;
  Index margin_, rows_, cols_;
  device::DeviceMatrix<T> all_;
};

/// One context for all tests of a suite: making one takes longer than most of them.
struct OnDevice : testing::Test {
  static void SetUpTestSuite() { context = std::make_unique<device::Context>(0); }
  static void TearDownTestSuite() { context.reset(); }
  inline static std::unique_ptr<device::Context> context;
  const device::Context& gpu = *context;

  template <class T>
  device::DeviceMatrix<T> to_device(const Matrix<T>& values) {
    return device::uploaded<T>(gpu, values.view(), "a matrix of the test");
  }
  device::DeviceMatrix<float> to_device(const std::vector<float>& values) {
    return device::uploaded(gpu, values, "a vector of the test");
  }
  template <class T>
  Matrix<T> to_host(const device::DeviceMatrix<T>& values) {
    return device::downloaded<T>(gpu, values.view());
  }
};

/// Sizes 0 and 1, primes, one thread's work and more than a block's, in fours and ragged.
struct RowsShape {
  Index rows, cols, margin;
};
inline const RowsShape ragged_shapes[] = {{0, 5, 0},    {3, 0, 1},    {1, 1, 0},   {7, 13, 1},
                                          {5, 16, 0},   {3, 16, 1},   {2, 128, 0}, {17, 131, 0},
                                          {3, 1028, 0}, {2, 2081, 1}, {2, 2304, 0}};

class OnDeviceRows : public OnDevice, public testing::WithParamInterface<RowsShape> {};

}  // namespace constrictor::test
