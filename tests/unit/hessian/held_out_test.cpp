// SPDX-License-Identifier: Apache-2.0
#include "hessian/held_out.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

Matrix<float> random(Index rows, Index cols, unsigned seed) {
  auto m = Matrix<float>::uninitialized(rows, cols);
  for (float& v : m.values()) v = float((seed = seed * 1664525u + 1013904223u) >> 8) / float(1 << 23) - 1.f;
  return m;
}

/// A fold of `tokens` inputs, and what it costs to aim at W + alpha W S.
struct Fold {
  Matrix<float> X, X_quant, W = random(3, 4, 5), S = random(4, 4, 6);
  explicit Fold(Index tokens) : X(random(4, tokens, 3)), X_quant(random(4, tokens, 4)) {
    for (Index i = 0; i < X.size(); ++i) X_quant.data()[i] = 0.5f * X_quant.data()[i] + X.data()[i];
  }
  InputStatistics statistics() const {
    InputStatistics s{Matrix<float>(4, 4), Matrix<float>(4, 4)};
    const float factor = 2.f / float(X.cols());
    for (Index i = 0; i < 4; ++i)
      for (Index j = 0; j < 4; ++j)
        for (Index t = 0; t < X.cols(); ++t) {
          s.H(i, j) += factor * X_quant(i, t) * X_quant(j, t);
          s.D(i, j) += factor * (X(i, t) - X_quant(i, t)) * X_quant(j, t);
        }
    return s;
  }
  double cost(double alpha) const {
    Matrix<float> target = W;
    linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::no, float(alpha), W.view(), S.view(), 1.f, target.view());
    const auto reached = linalg::product<float>(target.view(), X_quant.view()), wanted = linalg::product<float>(W.view(), X.view());
    double sum = 0;
    for (Index i = 0; i < reached.size(); ++i) sum += std::pow(double(reached.data()[i]) - double(wanted.data()[i]), 2);
    return sum;
  }
};

TEST(HeldOut, AlphaIsTheBestOnTheFold) {
  Fold fold(30);
  fold.S = fold.statistics().D;  // a step in a sensible direction, long enough: the best lies inside
  for (float& v : fold.S.values()) v *= 4;
  const double alpha = best_alpha({fold.W.view()}, fold.S.view(), fold.statistics());
  ASSERT_GT(alpha, 0.01);
  ASSERT_LT(alpha, 0.99);
  for (const double other : {0., alpha - 0.02, alpha + 0.02, 1.}) EXPECT_GT(fold.cost(other), fold.cost(alpha)) << other;
}

TEST(HeldOut, AlphaStaysBetweenNothingAndAll) {
  Fold fold(30);
  fold.S = fold.statistics().D;
  for (float& v : fold.S.values()) v *= 0.01f;  // all of it is not enough
  EXPECT_EQ(best_alpha({fold.W.view()}, fold.S.view(), fold.statistics()), 1);
  for (float& v : fold.S.values()) v = -v;  // away from X
  EXPECT_EQ(best_alpha({fold.W.view()}, fold.S.view(), fold.statistics()), 0);
  fold.S.fill(0);
  EXPECT_EQ(best_alpha({fold.W.view()}, fold.S.view(), fold.statistics()), 0);
}

TEST(HeldOut, LayersOfASideDecideTogether) {
  Fold fold(30);
  fold.S = fold.statistics().D;
  const auto view = fold.W.view();
  EXPECT_NEAR(best_alpha({view.rows_from(0, 1), view.rows_from(1, 2)}, fold.S.view(), fold.statistics()),
              best_alpha({view}, fold.S.view(), fold.statistics()), 1e-6);
}

}  // namespace
}  // namespace constrictor::hessian
