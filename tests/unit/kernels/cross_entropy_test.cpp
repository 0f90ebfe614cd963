// SPDX-License-Identifier: Apache-2.0
#include "kernels/cross_entropy.hpp"

#include <gtest/gtest.h>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::kernels {
namespace {

/// log softmax of a row in float64.
std::vector<double> log_probabilities(const Matrix<float>& y, Index row) {
  double largest = -1e300, sum = 0;
  for (Index v = 0; v < y.cols(); ++v) largest = std::max<double>(largest, y(row, v));
  for (Index v = 0; v < y.cols(); ++v) sum += std::exp(y(row, v) - largest);
  std::vector<double> result;
  for (Index v = 0; v < y.cols(); ++v) result.push_back(y(row, v) - largest - std::log(sum));
  return result;
}

/// `divergence` with room for its results.
struct Compared {
  Compared(View<const float> P, View<const float> Q)
      : kl(static_cast<std::size_t>(P.rows)), p_log_sum(kl), q_log_sum(kl), agree(kl.size()) {
    divergence(P, Q, {kl, agree, p_log_sum, q_log_sum});
  }
  std::vector<double> kl, p_log_sum, q_log_sum;
  std::vector<std::uint8_t> agree;
};

struct Shape {
  Index rows, vocabulary;
};
class Losses : public testing::TestWithParam<Shape> {};

TEST_P(Losses, EqualPlainLoopsInFloat64) {
  const auto [rows, vocabulary] = GetParam();
  const auto n = static_cast<std::size_t>(rows);
  const Matrix<float> p = test::random_matrix(rows, vocabulary, 1, 15.0);
  Matrix<float> q(p);
  const Matrix<float> noise = test::random_matrix(rows, vocabulary, 2, 2.0);
  for (std::size_t i = 0; i < q.values().size(); ++i) q.values()[i] += noise.values()[i];
  std::vector<std::int32_t> targets(n);
  for (std::size_t i = 0; i < n; ++i)
    targets[i] = static_cast<std::int32_t>(i * 31 % static_cast<std::size_t>(vocabulary));
  std::vector<double> nll(n);
  cross_entropy(q.view(), targets, nll);
  const Compared found(p.view(), q.view());
  // exponents |y| <= 34 are rounded before and within the exponential
  const double tolerance = 40 * test::float_epsilon;
  for (std::size_t i = 0; i < n; ++i) {
    const auto log_p = log_probabilities(p, static_cast<Index>(i)),
               log_q = log_probabilities(q, static_cast<Index>(i));
    double expected = 0;
    for (std::size_t v = 0; v < log_p.size(); ++v)
      expected += std::exp(log_p[v]) * (log_p[v] - log_q[v]);
    EXPECT_NEAR(nll[i], -log_q[static_cast<std::size_t>(targets[i])], tolerance);
    EXPECT_NEAR(found.kl[i], expected, tolerance);
    EXPECT_NEAR(found.p_log_sum[i], p(static_cast<Index>(i), 0) - log_p[0], tolerance);
    EXPECT_NEAR(found.q_log_sum[i], q(static_cast<Index>(i), 0) - log_q[0], tolerance);
    const auto top = [](const std::vector<double>& x) {
      return std::max_element(x.begin(), x.end()) - x.begin();
    };
    EXPECT_EQ(found.agree[i], top(log_p) == top(log_q));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Losses,
                         testing::Values(Shape{0, 5}, Shape{1, 1}, Shape{3, 7}, Shape{50, 97},
                                         Shape{5, 2050}));

TEST(CrossEntropy, OfAUniformRowIsTheLogOfItsLength) {
  Matrix<float> y(1, 1000);
  y.fill(-7.0f);
  std::vector<double> nll(1);
  cross_entropy(read_only(y.view()), std::vector<std::int32_t>{999}, nll);
  EXPECT_NEAR(nll[0], std::log(1000.0), 1e-12);
}

TEST(CrossEntropy, RefusesTargetsOutsideTheVocabularyAndShowsNan) {
  Matrix<float> y(1, 4);
  std::vector<double> nll(1);
  EXPECT_THROW(cross_entropy(read_only(y.view()), std::vector<std::int32_t>{4}, nll), Bug);
  EXPECT_THROW(cross_entropy(read_only(y.view()), std::vector<std::int32_t>{-1}, nll), Bug);
  y(0, 2) = std::numeric_limits<float>::quiet_NaN();
  cross_entropy(read_only(y.view()), std::vector<std::int32_t>{0}, nll);
  EXPECT_TRUE(std::isnan(nll[0]));
}

TEST(Divergence, OfEqualRowsIsZeroAndShiftsDoNotMatter) {
  const Matrix<float> p = test::random_matrix(2, 33, 5, 4.0);
  const Compared same(p.view(), p.view());
  for (const double kl : same.kl) EXPECT_NEAR(kl, 0.0, 1e-14);
  EXPECT_EQ(same.agree, std::vector<std::uint8_t>(2, 1));
  Matrix<float> shifted(p);
  for (float& v : shifted.values()) v += 64.0f;
  const Compared moved(p.view(), read_only(shifted.view()));
  EXPECT_NEAR(moved.kl[0], 0.0, 64 * test::float_epsilon);
  EXPECT_EQ(moved.agree[0], 1);
}

TEST(Divergence, TiesGoToTheFirst) {
  Matrix<float> p(1, 3), q(1, 3);
  p(0, 1) = p(0, 2) = 5;
  q(0, 2) = 5;
  EXPECT_EQ(Compared(read_only(p.view()), read_only(q.view())).agree[0], 0);
  q(0, 1) = 5;
  EXPECT_EQ(Compared(read_only(p.view()), read_only(q.view())).agree[0], 1);
}

}  // namespace
}  // namespace constrictor::kernels
