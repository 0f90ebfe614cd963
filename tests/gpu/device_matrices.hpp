// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests of the device's linear algebra: random matrices of any element type, comparisons that
// fail on NaN.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/bfloat16.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::test {

template <class T>
double number(T value) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return static_cast<double>(static_cast<float>(value));
  else
    return static_cast<double>(value);
}

template <class T>
Matrix<T> normal_matrix(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  auto m = Matrix<T>::uninitialized(rows, cols);
  for (T& v : m.values()) v = T(normal(engine));
  return m;
}

/// max |found - expected| over what `counts` lets through, relative to the largest |expected| there
/// (1 where all of them are zero); infinity where a number is not finite.
template <class Found, class Expected, class Counts>
double error_where(View<Found> found, View<Expected> expected, Counts&& counts) {
  EXPECT_EQ(found.rows, expected.rows);
  EXPECT_EQ(found.cols, expected.cols);
  double worst = 0, largest = 0;
  for (Index r = 0; r < expected.rows; ++r)
    for (Index c = 0; c < expected.cols; ++c) {
      if (!counts(r, c)) continue;
      const double error = std::abs(number(found(r, c)) - number(expected(r, c)));
      if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, error);
      largest = std::max(largest, std::abs(number(expected(r, c))));
    }
  return largest > 0 ? worst / largest : worst;
}
template <class Found, class Expected>
double error_of(const Matrix<Found>& found, const Matrix<Expected>& expected) {
  return error_where(found.view(), expected.view(), [](Index, Index) { return true; });
}
template <class Found, class Expected>
double upper_error(const Matrix<Found>& found, const Matrix<Expected>& expected) {
  return error_where(found.view(), expected.view(), [](Index r, Index c) { return c >= r; });
}

struct DeviceMatrices : testing::Test {
  device::Context gpu{0};

  template <class T>
  device::DeviceMatrix<T> on_device(const Matrix<T>& m) {
    return device::uploaded<T>(gpu, m.view(), "a matrix of a test");
  }
  template <class T>
  Matrix<T> on_host(const device::DeviceMatrix<T>& m) {
    return device::downloaded<T>(gpu, m.view());
  }
};

}  // namespace constrictor::test
