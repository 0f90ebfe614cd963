// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax_causal.hpp"

#include <gtest/gtest.h>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::kernels {
namespace {

struct Shape {
  Index queries, keys, first_position;
};
class SoftmaxCausal : public testing::TestWithParam<Shape> {};

TEST_P(SoftmaxCausal, EqualsPlainLoopsInFloat64) {
  const auto [queries, keys, first] = GetParam();
  const Matrix<float> scores = test::random_matrix(queries, keys, 1, 20.0);
  test::Framed p(queries, keys);
  p.assign(scores);
  softmax_causal(p.view(), first);
  for (Index i = 0; i < queries; ++i) {
    const Index seen = std::min(first + i + 1, keys);
    double largest = -1e30, sum = 0;
    for (Index j = 0; j < seen; ++j) largest = std::max<double>(largest, scores(i, j));
    for (Index j = 0; j < seen; ++j) sum += std::exp(scores(i, j) - largest);
    for (Index j = 0; j < keys; ++j) {
      if (j >= seen) {
        EXPECT_EQ(p.view()(i, j), 0.0f);
        continue;
      }
      const double exact = std::exp(scores(i, j) - largest) / sum;
      // the difference to the largest score is rounded: |score| epsilon, relative
      EXPECT_NEAR(p.view()(i, j), exact,
                  exact * test::float_epsilon * (40 + std::sqrt(static_cast<double>(seen))));
    }
  }
  EXPECT_TRUE(p.margin_untouched());
}

INSTANTIATE_TEST_SUITE_P(Shapes, SoftmaxCausal,
                         testing::Values(Shape{0, 0, 0}, Shape{1, 1, 0}, Shape{5, 5, 0},
                                         Shape{40, 40, 0}, Shape{100, 100, 0}, Shape{33, 97, 64},
                                         Shape{3, 4, 9}));

TEST(SoftmaxCausalRows, OfEqualScoresAreEqual) {
  Matrix<float> s(4, 4);
  s.fill(1e4f);  // e^10000 would overflow without the subtraction
  softmax_causal(s.view());
  for (Index i = 0; i < 4; ++i)
    for (Index j = 0; j < 4; ++j)
      EXPECT_FLOAT_EQ(s(i, j), j <= i ? 1.0f / static_cast<float>(i + 1) : 0.0f);
}

TEST(SoftmaxCausalRows, SeeTheirWindowOnlyAndCappedScores) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> s(2, 6);
  s.fill(nan);  // rows stand at positions 3 and 4 and see two keys each
  s(0, 2) = 1, s(0, 3) = 2, s(1, 3) = -4, s(1, 4) = 1e6f;
  softmax_causal(s.view(), 3, {.window = 2, .soft_cap = 3});
  const auto second = [](double a, double b) {
    return 1 / (1 + std::exp(3 * std::tanh(a / 3) - 3 * std::tanh(b / 3)));
  };
  EXPECT_NEAR(s(0, 3), second(1, 2), 1e-6);
  EXPECT_NEAR(s(1, 4), second(-4, 1e6), 1e-6);
  EXPECT_NEAR(s(0, 2) + s(0, 3), 1, 1e-6);
  for (const Index c : {0, 1, 4, 5}) EXPECT_EQ(s(0, c), 0.f) << c;
  for (const Index c : {0, 1, 2, 5}) EXPECT_EQ(s(1, c), 0.f) << c;
}

TEST(SoftmaxCausalRows, ShowNanInTheirOwnRowOnly) {
  Matrix<float> s(3, 3);
  s(1, 0) = std::numeric_limits<float>::quiet_NaN();
  s(0, 2) = std::numeric_limits<float>::quiet_NaN();  // above the diagonal: never read
  softmax_causal(s.view());
  EXPECT_EQ(s(0, 0), 1.0f);
  EXPECT_TRUE(std::isnan(s(1, 0)) && std::isnan(s(1, 1)));
  EXPECT_FLOAT_EQ(s(2, 2), 1.0f / 3);
}

}  // namespace
}  // namespace constrictor::kernels
