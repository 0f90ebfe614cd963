// SPDX-License-Identifier: Apache-2.0
#include "kernels/norm.hpp"

#include <gtest/gtest.h>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::kernels {
namespace {
using test::float_epsilon;

TEST(RmsNorm, OfThreeAndFourByHand) {  // mean(x²) = 12.5, eps 12.5 makes the root 5
  Matrix<float> x(1, 2), y(1, 2);
  x(0, 0) = 3, x(0, 1) = -4;
  const std::vector<float> w = {10, 100};
  rms_norm(read_only(x.view()), w, 12.5, y.view());
  EXPECT_FLOAT_EQ(y(0, 0), 6.0f);
  EXPECT_FLOAT_EQ(y(0, 1), -80.0f);
}

TEST(LayerNorm, OfThreeNumbersByHand) {  // mean 2, variance 6, eps 3: root 3
  Matrix<float> x(1, 3), y(1, 3);
  x(0, 0) = -1, x(0, 1) = 2, x(0, 2) = 5;
  const std::vector<float> w = {1, 2, 3}, b = {10, 20, 30};
  layer_norm(read_only(x.view()), w, b, 3.0, y.view());
  EXPECT_FLOAT_EQ(y(0, 0), 9.0f);
  EXPECT_FLOAT_EQ(y(0, 1), 20.0f);
  EXPECT_FLOAT_EQ(y(0, 2), 33.0f);
}

struct Size {
  Index rows, width;
};
class Norms : public testing::TestWithParam<Size> {};

TEST_P(Norms, EqualPlainLoopsInFloat64AndWorkInPlace) {
  const auto [rows, width] = GetParam();
  Matrix<float> x = test::random_matrix(rows, width, 1, 3.0);
  for (float& v : x.values()) v += 2.0f;  // a mean that must be removed
  const auto w = test::random_vector(width, 2), b = test::random_vector(width, 3);
  const double eps = 1e-5;
  test::Framed rms(rows, width), layer(rows, width);
  rms.assign(x);
  layer.assign(x);
  rms_norm(read_only(rms.view()), w, eps, rms.view());
  layer_norm(read_only(layer.view()), w, b, eps, layer.view());

  for (Index r = 0; r < rows; ++r) {
    double sum = 0, squares = 0, centred = 0;
    for (Index c = 0; c < width; ++c)
      sum += x(r, c), squares += static_cast<double>(x(r, c)) * x(r, c);
    const double n = static_cast<double>(width), mean = sum / n;
    for (Index c = 0; c < width; ++c) centred += (x(r, c) - mean) * (x(r, c) - mean);
    for (Index c = 0; c < width; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const double root = std::sqrt(centred / n + eps);
      EXPECT_NEAR(rms.view()(r, c), w[i] * x(r, c) / std::sqrt(squares / n + eps),
                  4 * float_epsilon * 5);
      // The centre is rounded to float32: with one column the result is the rounding error over
      // sqrt(eps).
      EXPECT_NEAR(layer.view()(r, c), w[i] * (x(r, c) - mean) / root + b[i],
                  8 * float_epsilon * (1 + 5 / root));
    }
  }
  EXPECT_TRUE(rms.margin_untouched());
  EXPECT_TRUE(layer.margin_untouched());
}

INSTANTIATE_TEST_SUITE_P(Sizes, Norms,
                         testing::Values(Size{0, 8}, Size{1, 1}, Size{3, 7}, Size{33, 40},
                                         Size{100, 129}));

}  // namespace
}  // namespace constrictor::kernels
