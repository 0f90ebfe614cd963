// SPDX-License-Identifier: Apache-2.0
// Pivoted order against its definition, and as the input side holds it.
#include <gtest/gtest.h>

#include <cmath>

#include "../quant/random_problem.hpp"
#include "hessian/damped.hpp"
#include "linalg/factor.hpp"
#include "linalg/pivoted_order.hpp"

namespace constrictor::hessian {
namespace {

using quant::random_hessian;
using quant::random_matrix;

/// From the last position backwards: the column with the smallest diagonal, then it is eliminated.
std::vector<std::int32_t> plain_order(Matrix<double> H) {
  const Index n = H.rows();
  std::vector<std::int32_t> order(static_cast<std::size_t>(n), -1);
  std::vector<bool> taken(static_cast<std::size_t>(n), false);
  for (Index last = n - 1; last >= 0; --last) {
    Index least = -1;
    for (Index c = 0; c < n; ++c)
      if (!taken[std::size_t(c)] && (least < 0 || H(c, c) < H(least, least))) least = c;
    order[std::size_t(last)] = static_cast<std::int32_t>(least);
    taken[std::size_t(least)] = true;
    for (Index r = 0; r < n; ++r)
      for (Index c = 0; c < n; ++c)
        if (!taken[std::size_t(r)] && !taken[std::size_t(c)])
          H(r, c) -= H(r, least) * H(least, c) / H(least, least);
  }
  return order;
}

TEST(PivotedOrder, IsItsDefinition) {
  for (const Index n : {0, 1, 2, 17, 127, 128, 129, 300}) {
    const auto H = random_hessian<double>(n, 3);
    std::vector<std::int32_t> order;
    ASSERT_TRUE(linalg::pivoted_order<double>(H.view(), order));
    EXPECT_EQ(order, plain_order(H)) << n;
  }
}

TEST(PivotedOrder, TakesTheLowestNumberOfEqualColumns) {
  for (const Index n : {5, 200}) {
    Matrix<float> H(n, n);
    for (Index i = 0; i < n; ++i) H(i, i) = i % 3 == 0 ? 1.f : 2.f;
    std::vector<std::int32_t> order, wanted;
    for (const int rest : {2, 1})
      for (Index i = n - 1; i >= 0; --i)
        if ((rest == 1) == (i % 3 == 0)) wanted.push_back(std::int32_t(i));
    ASSERT_TRUE(linalg::pivoted_order<float>(H.view(), order));
    EXPECT_EQ(order, wanted);
  }
}

TEST(PivotedOrder, RefusesWhatHasNoFactor) {
  auto H = random_hessian<double>(140, 4);
  H(139, 139) = -1;
  std::vector<std::int32_t> order;
  EXPECT_FALSE(linalg::pivoted_order<double>(H.view(), order));
  H(139, 139) = std::nan("");
  EXPECT_FALSE(linalg::pivoted_order<double>(H.view(), order));
}

/// The weights 1 / U_cc^2 have one product whatever the order; pivoting evens them out.
TEST(PivotedOrder, EvensOutTheWeightsOfTheColumns) {
  const auto H = random_hessian<double>(200, 5);
  const auto weights = [&](Order how) {
    const auto side = factor_input<double>(H.view(), {}, {.column_order = how}, "test");
    double sum = 0, log_product = 0;
    for (Index c = 0; c < 200; ++c) {
      sum += 1 / (side.U(c, c) * side.U(c, c));
      log_product -= 2 * std::log(side.U(c, c));
    }
    return std::pair(sum, log_product);
  };
  const auto original = weights(Order::original), descending = weights(Order::descending),
             pivoted = weights(Order::pivoted);
  EXPECT_NEAR(original.second, pivoted.second, 1e-8 * std::abs(original.second));
  EXPECT_LT(pivoted.first, original.first);
  EXPECT_LT(pivoted.first, descending.first);
}

/// Rank 3 in float32 needs more damping than was asked for; order and factor are of the same H.
TEST(PivotedOrder, FollowsTheDampingThatWorked) {
  const Index n = 96;
  auto B = random_matrix<float>(n, 3, 6);
  for (Index r = 0; r < n; ++r) B(r, 0) *= float(1 + r % 7);
  Matrix<float> H(n, n);
  linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::yes, 1.f, B.view(), B.view(), 0.f,
                      H.view());
  for (Index r = 0; r < n; ++r)
    for (Index c = 0; c < r; ++c) H(r, c) = H(c, r) = H(c, r) * (r % 5 == 0 ? 1.000005f : 1.f);
  const auto side = factor_input<float>(
      H.view(), {}, {.damping = 1e-8, .length = 1, .column_order = Order::pivoted}, "test");
  EXPECT_GT(side.retries, 0);
  std::vector<std::int32_t> of_this_H;
  ASSERT_TRUE(side.second_try_in_double ? linalg::pivoted_order<double>(
                                              converted<double>(side.H.view()).view(), of_this_H)
                                        : linalg::pivoted_order<float>(side.H.view(), of_this_H));
  EXPECT_EQ(side.order, of_this_H);
  Matrix<float> ordered(n, n), U(n, n);
  for (Index r = 0; r < n; ++r)
    for (Index c = 0; c < n; ++c)
      ordered(r, c) = side.H(side.order[std::size_t(r)], side.order[std::size_t(c)]);
  if (side.second_try_in_double) return;
  ASSERT_TRUE(linalg::inverse_factor<float>(ordered.view(), U.view()));
  for (Index i = 0; i < U.size(); ++i) EXPECT_EQ(U.data()[i], side.U.data()[i]);
}

TEST(PivotedOrder, OfRowsIsTheSame) {
  const auto H = random_hessian<double>(24, 7);
  const auto side = factor_output<double>(H.view(), 0.01, Order::pivoted, "test");
  EXPECT_EQ(side.order, plain_order(side.H));
}

}  // namespace
}  // namespace constrictor::hessian
