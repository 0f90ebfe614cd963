// SPDX-License-Identifier: Apache-2.0
#include "quant/refine.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hessian/damped.hpp"
#include "quant/solvers.hpp"
#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

/// L by its definition, term by term.
double plain_loss(const Matrix<double>& W, const Matrix<double>& Q, const Matrix<double>& H,
                  const Matrix<double>& D, const Matrix<double>& H_out) {
  const Index rows = W.rows(), in = W.cols();
  double total = 0;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < rows; ++j) {
      const double weight = H_out.empty() ? (i == j) : H_out(i, j);
      if (weight == 0) continue;
      for (Index a = 0; a < in; ++a)
        for (Index b = 0; b < in; ++b) {
          total += weight * (Q(j, a) - W(j, a)) * H(a, b) * (Q(i, b) - W(i, b));
          if (!D.empty()) total -= 2 * weight * W(j, a) * D(a, b) * (Q(i, b) - W(i, b));
        }
    }
  return total;
}

TEST(Refine, ObjectiveIsItsDefinition) {
  const auto W = random_matrix<double>(5, 9, 1), Q = random_matrix<double>(5, 9, 2),
             H = random_hessian<double>(9, 3);
  const auto D = random_matrix<double>(9, 9, 4), H_out = random_hessian<double>(5, 5);
  for (const bool two_sided : {false, true})
    for (const bool drift : {false, true}) {
      const auto side = two_sided ? H_out : Matrix<double>();
      const auto used = drift ? D : Matrix<double>();
      const Objective<double> objective(W.view(), H.view(), used.view(), side.view());
      std::vector<double> rows;
      const double loss = objective.loss(Q.view(), objective.input_product(Q.view()).view(), &rows);
      EXPECT_NEAR(loss, plain_loss(W, Q, H, used, side), 1e-10 * std::abs(loss));
      double sum = 0;
      for (const double row : rows) sum += row;
      EXPECT_NEAR(sum, loss, 1e-12 * std::abs(loss));
      EXPECT_NEAR(objective.scale(), plain_loss(W, Matrix<double>(5, 9), H, {}, side),
                  1e-10 * objective.scale());
    }
}

TEST(Refine, EveryCombinationFallsAndConverges) {
  for (const bool two_sided : {false, true})
    for (const Index group : {48, 16})
      for (const bool drift : {false, true})
        for (const int bits : {2, 4}) {
          const auto W = random_matrix<double>(24, 48, 6), H = random_hessian<double>(48, 7),
                     H_out = random_hessian<double>(24, 8);
          auto D = random_matrix<double>(48, 48, 9);
          for (double& v : D.values()) v *= 0.02;
          const Objective<double> objective(W.view(), H.view(), drift ? D.view() : View<double>{},
                                            two_sided ? H_out.view() : View<double>{});
          auto grid = fit_grid<double>(W.view(), {H.view(), {}, {}},
                                       {bits, false, group, GridSearch::minmax});
          const auto codes = round_to_grid<double>(W.view(), grid);
          double before = 1e300, first = 0;
          for (int round = 0; round < 30; ++round) {  // passes one by one: each must fall
            const auto result = refine_scales<double>(objective, codes.view(), 1, {}, grid);
            EXPECT_LE(result.loss_after, result.loss_before);
            if (round == 0) first = result.loss_before;
            if (round > 0) { EXPECT_NEAR(result.loss_before, before, 1e-9 * before); }
            before = result.loss_after;
          }
          EXPECT_LT(before, first);
          // At the minimum the slope of L in every scale is zero.
          const auto Q = dequantize<double>(codes.view(), grid);
          const auto R = objective.residual(objective.input_product(Q.view()).view());
          for (Index r = 0; r < 24; ++r)
            for (Index g = 0; g < grid.groups(); ++g) {
              double slope = 0;
              for (Index c = g * group; c < (g + 1) * group; ++c)
                slope += R(r, c) * (codes(r, c) - grid.zero(r, g));
              EXPECT_NEAR(slope, 0, 2e-4 * objective.scale())
                  << two_sided << group << drift << bits;
            }
        }
}

TEST(Refine, AGroupWhoseCodesAreAllZeroPointsIsSkipped) {
  const auto W = random_matrix<double>(2, 4, 1), H = random_hessian<double>(4, 2);
  Grid<double> grid(2, 4, 2, 2);
  grid.scale.fill(0.5);
  grid.zero.fill(1);
  Matrix<std::uint8_t> codes(2, 4);
  codes.fill(1);  // Z = 0: the denominator is zero
  codes(0, 3) = 2;
  const Objective<double> objective(W.view(), H.view(), {}, {});
  refine_scales<double>(objective, codes.view(), 3, {}, grid);
  EXPECT_EQ(grid.scale(0, 0), 0.5);
  EXPECT_EQ(grid.scale(1, 1), 0.5);
  EXPECT_NE(grid.scale(0, 1), 0.5);
}

TEST(Solvers, DeadInputsCostNothingAndGetTheZeroPoint) {
  auto H = random_hessian<float>(32, 1);
  for (Index i = 0; i < 32; ++i) H(5, i) = H(i, 5) = 0;
  const auto W = random_matrix<float>(16, 32, 2);
  const auto side = hessian::factor_input<float>(H.view(), {}, {.length = 64}, "test");
  ASSERT_EQ(side.dead, std::vector<Index>{5});
  QuantSpec spec;
  spec.bits = 3;
  for (const Method method : {Method::rtn, Method::gptq, Method::turboboa}) {
    const auto solution = solver<float>(method).solve(W.view(), side, nullptr, spec);
    for (Index r = 0; r < 16; ++r) EXPECT_EQ(float(solution.codes(r, 5)), solution.grid.zero(r, 0));
  }
}

TEST(Solvers, OneRowAtATimeWithAUnitOutputSideIsGptq) {
  const auto W = random_matrix<double>(8, 40, 3), H = random_hessian<double>(40, 4);
  const auto input = hessian::factor_input<double>(H.view(), {}, {}, "test");
  Matrix<double> unit(8, 8);
  for (Index i = 0; i < 8; ++i) unit(i, i) = 2;
  const auto output = hessian::factor_output<double>(unit.view(), 0.01, Order::original, "test");
  QuantSpec spec;
  spec.rows_at_once = 1;
  spec.refine_passes = 0;
  const auto boa = solve_turboboa<double>(W.view(), input, &output, spec);
  const auto gptq = solve_gptq<double>(W.view(), input, nullptr, spec);
  for (Index i = 0; i < W.size(); ++i) EXPECT_EQ(boa.codes.data()[i], gptq.codes.data()[i]);
}

TEST(Solvers, AdaptiveGridOffFitsAllRowsOnTheOriginalWeights) {
  const auto W = random_matrix<double>(16, 32, 5), H = random_hessian<double>(32, 6),
             H_out = random_hessian<double>(16, 7);
  const auto input = hessian::factor_input<double>(H.view(), {}, {}, "test");
  const auto output = hessian::factor_output<double>(H_out.view(), 0.01, Order::original, "test");
  QuantSpec spec;
  spec.rows_at_once = 4;
  spec.refine_passes = 0;
  spec.adaptive_grid = false;
  const auto fixed = solve_turboboa<double>(W.view(), input, &output, spec);
  const auto grid = fit_grid<double>(W.view(), metric_of(input), grid_settings(spec));
  for (Index r = 0; r < 16; ++r) EXPECT_EQ(fixed.grid.scale(r, 0), grid.scale(r, 0));
  spec.adaptive_grid = true;
  const auto adaptive = solve_turboboa<double>(W.view(), input, &output, spec);
  Index moved = 0;
  for (Index r = 4; r < 16; ++r) moved += adaptive.grid.scale(r, 0) != grid.scale(r, 0);
  EXPECT_GT(moved, 0);
}

TEST(Damping, RaisesUntilItWorksAndGivesUpAfterFiveRetries) {
  Matrix<float> H(2, 2);
  H(0, 0) = H(1, 1) = 1;
  H(0, 1) = H(1, 0) = 1.0005f;  // indefinite: needs λ > 0.0005
  const auto side = hessian::factor_input<float>(H.view(), {}, {.damping = 1e-5}, "layer");
  EXPECT_EQ(side.retries, 2);
  EXPECT_NEAR(side.damping, 1e-3, 1e-9);
  H(0, 1) = H(1, 0) = 5;
  EXPECT_THROW((void)hessian::factor_input<float>(H.view(), {}, {.damping = 1e-6}, "layer"),
               hessian::FactorizationError);
  H(1, 1) = std::nanf("");
  try {
    (void)hessian::factor_input<float>(H.view(), {}, {}, "block 3, mlp.up_proj");
    FAIL();
  } catch (const NumericalError& error) {
    EXPECT_NE(
        std::string(error.what()).find("block 3, mlp.up_proj: H_in holds NaN or Inf at [1, 1]"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace constrictor::quant
