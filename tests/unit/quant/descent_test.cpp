// SPDX-License-Identifier: Apache-2.0
// What lowers L after the codes were found: refinement of scales and zeros, integer descent.
#include <gtest/gtest.h>

#include <cmath>

#include "data/stages.hpp"
#include "hessian/damped.hpp"
#include "quant/polish.hpp"
#include "quant/refine.hpp"
#include "quant/solvers.hpp"
#include "quant/zeros.hpp"
#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

/// A made-up layer of 12 rows and 136 inputs (two panels), plainly rounded.
template <class T>
struct Problem {
  bool two_sided, drift;
  Index group;
  int bits;

  Matrix<T> W = random_matrix<T>(12, 136, 6), H = random_hessian<T>(136, 7),
            H_out = random_hessian<T>(12, 8), D = random_matrix<T>(136, 136, 9);
  Problem(bool sides, bool drifting, Index size, int width)
      : two_sided(sides), drift(drifting), group(size), bits(width) {
    for (T& v : D.values()) v *= T(0.02);
  }

  Objective<T> objective() const {
    return {W.view(), H.view(), drift ? D.view() : View<const T>{},
            two_sided ? H_out.view() : View<const T>{}};
  }
  std::vector<std::int32_t> order() const {
    std::vector<std::int32_t> rows;
    for (std::int32_t r = 0; two_sided && r < 12; ++r) rows.push_back(r * 7 % 12);
    return rows;
  }
  Fit<T> fit(const Objective<T>& L) const {
    auto grid = fit_grid<T>(W.view(), {H.view(), {}, {}}, {bits, false, group, GridSearch::minmax});
    auto codes = round_to_grid<T>(W.view(), grid);
    return {L, order(), std::move(codes), std::move(grid)};
  }
};

template <class Function>
void for_each_problem(Function&& fn) {
  for (const bool two_sided : {false, true})
    for (const bool drift : {false, true})
      for (const Index group : {136, 17})
        for (const int bits : {2, 4}) {
          SCOPED_TRACE(testing::Message() << (two_sided ? "two" : "one") << "-sided, drift "
                                          << drift << ", groups of " << group << ", bits " << bits);
          fn(Problem<double>(two_sided, drift, group, bits));
        }
}

/// L of the codes and grid as they stand, from nothing else.
template <class T>
double fresh_loss(const Fit<T>& fit) {
  const auto Q = dequantize<T>(fit.codes.view(), fit.grid);
  return fit.objective->loss(Q.view(), fit.objective->input_product(Q.view()).view());
}

/// One visit of every code, R from scratch each time.
Matrix<std::uint8_t> plainly_polished(const Fit<double>& fit) {
  const auto& L = *fit.objective;
  Matrix<std::uint8_t> codes = fit.codes;
  auto Q = dequantize<double>(codes.view(), fit.grid);
  auto R = L.residual(L.input_product(Q.view()).view());
  for (Index p = 0; p < codes.rows(); ++p) {
    const Index i = fit.row_at(p);
    for (Index c = 0; c < codes.cols(); ++c) {
      const double s = fit.grid.scale(i, c / fit.grid.group_size),
                   z = fit.grid.zero(i, c / fit.grid.group_size);
      const double wish = Q(i, c) + R(i, c) / (fit.weight(i) * L.H_in(c, c));
      const double code = std::clamp(std::nearbyint(wish / s) + z, 0., fit.grid.top);
      if (code == codes(i, c)) continue;
      const double step = s * (code - z) - Q(i, c);
      codes(i, c) = static_cast<std::uint8_t>(code);
      Q(i, c) += step;
      for (Index j = 0; j < codes.rows(); ++j) {
        const double weight = fit.two_sided() ? L.H_out(j, i) : (j == i);
        for (Index k = 0; weight != 0 && k < codes.cols(); ++k)
          R(j, k) -= weight * step * L.H_in(c, k);
      }
    }
  }
  return codes;
}

TEST(Polish, IsTheCoordinateDescentItSaysAndEndsWhereNoSingleCodeHelps) {
  for_each_problem([](const Problem<double>& problem) {
    const auto L = problem.objective();
    auto fit = problem.fit(L);
    const double start = fit.loss;
    for (int pass = 0; pass < 2; ++pass) {
      const auto expected = plainly_polished(fit);
      polish(fit);
      for (Index i = 0; i < expected.size(); ++i)
        ASSERT_EQ(expected.data()[i], fit.codes.data()[i]) << "pass " << pass << ", code " << i;
    }
    for (double before = 2 * start; fit.loss < before;) {
      before = fit.loss;
      polish(fit);
      EXPECT_LE(fit.loss, before);
      EXPECT_NEAR(fit.loss, fresh_loss(fit), 1e-10 * start);
    }
    EXPECT_LT(fit.loss, start);
    for (const Index row : {Index{0}, Index{5}, Index{11}})  // any single step raises L
      for (Index c = 0; c < 136; c += 13)
        for (const int step : {-1, 1}) {
          auto other = fit;
          const int code = other.codes(row, c) + step;
          if (code < 0 || code > static_cast<int>(other.grid.top)) continue;
          other.codes(row, c) = static_cast<std::uint8_t>(code);
          EXPECT_GE(fresh_loss(other), fit.loss - 1e-9 * std::abs(start));
        }
  });
}

TEST(Polish, ManyChangesAtOnceAreSpreadByAProduct) {
  for (const bool two_sided : {false, true}) {
    const Problem<double> problem(two_sided, true, 34, 3);
    const auto L = problem.objective();
    auto fit = problem.fit(L);
    for (Index i = 0; i < fit.codes.size(); ++i)  // nearly every code has to move
      fit.codes.data()[i] = static_cast<std::uint8_t>(7 - fit.codes.data()[i]);
    fit.codes_changed();
    const auto expected = plainly_polished(fit);
    polish(fit);
    for (Index i = 0; i < expected.size(); ++i)
      ASSERT_EQ(expected.data()[i], fit.codes.data()[i]) << i;
  }
}

TEST(RefineScales, EveryPassFallsAndTheLossIsThatOfTheScales) {
  for_each_problem([](const Problem<double>& problem) {
    const auto L = problem.objective();
    auto fit = problem.fit(L);
    double last = fit.loss;
    const auto losses = refine_scales(fit, {.passes = 6});
    ASSERT_EQ(losses.size(), 6u);
    for (const double loss : losses) {
      EXPECT_LE(loss, last);
      last = loss;
    }
    EXPECT_EQ(losses.back(), fit.loss);
    EXPECT_NEAR(fit.loss, fresh_loss(fit), 1e-10 * L.scale());
  });
}

TEST(RefineScales, InFloat32TheLossIsThatOfTheScalesToo) {
  const Problem<float> problem(false, true, 17, 4);
  const auto L = problem.objective();
  auto fit = problem.fit(L);
  refine_scales(fit, {.passes = 10});
  EXPECT_NEAR(fit.loss / fresh_loss(fit), 1, 1e-4);
}

TEST(RefineScales, StopsWhenAPassGainsLittle) {
  const Problem<double> problem(false, false, 17, 2);
  const auto L = problem.objective();
  auto all = problem.fit(L), few = all, two = all, again = all;
  refine_scales(all, {.passes = 60});
  refine_scales(few, {.passes = 60, .gain = 0.01});
  refine_scales(two, {.passes = 60, .gain = 1});
  refine_scales(again, {.passes = 2});
  EXPECT_LT(all.loss, few.loss);
  EXPECT_LT(few.loss, two.loss);
  EXPECT_LT(few.loss - all.loss, 0.2 * (again.loss - all.loss));
  EXPECT_EQ(two.loss, again.loss);  // no second pass gains what the first one did
}

TEST(RefineZeros, NeverRaisesTheLossAndKeepsCodesInRange) {
  Index taken = 0;
  for_each_problem([&](const Problem<double>& problem) {
    const auto L = problem.objective();
    auto fit = problem.fit(L);
    for (int pass = 0; pass < 3; ++pass) {
      const auto before = fit;
      refine_zeros(fit);
      EXPECT_LE(fit.loss, before.loss);
      EXPECT_NEAR(fit.loss, fresh_loss(fit), 1e-10 * L.scale());
      for (Index i = 0; i < fit.grid.zero.size(); ++i) {
        const double zero = fit.grid.zero.data()[i];
        taken += zero != before.grid.zero.data()[i];
        EXPECT_TRUE(zero >= 0 && zero <= fit.grid.top && zero == std::nearbyint(zero));
        EXPECT_LE(std::abs(zero - before.grid.zero.data()[i]), 1);
        EXPECT_GT(fit.grid.scale.data()[i], 0);
      }
      for (Index i = 0; i < fit.codes.size(); ++i)
        EXPECT_LE(fit.codes.data()[i], static_cast<int>(fit.grid.top));
      refine_scales(fit, {.passes = 1});
    }
  });
  EXPECT_GT(taken, 0);
}

TEST(RefineZeros, FindsAZeroThatIsOffByOne) {
  for (const bool two_sided : {false, true}) {
    Problem<double> problem(two_sided, false, 17, 3);
    // Errors of other columns and rows must not hide that a weight wants further.
    for (Index i = 0; i < 136; ++i) problem.H(i, i) += 20;
    for (Index i = 0; i < 12; ++i) problem.H_out(i, i) += 20;
    Grid<double> grid(12, 136, 3, 17);
    grid.scale.fill(0.25);
    grid.zero.fill(4);
    Matrix<std::uint8_t> codes(12, 136);
    for (Index i = 0; i < codes.size(); ++i)
      codes.data()[i] = static_cast<std::uint8_t>((5 * i + i / 136) % 8);
    problem.W = dequantize<double>(codes.view(), grid);
    const auto L = problem.objective();
    grid.zero.fill(5);  // the highest weights cannot be reached now
    const auto rounded = round_to_grid<double>(problem.W.view(), grid);
    Fit<double> fit(L, problem.order(), Matrix<std::uint8_t>(rounded), grid);
    const double start = fit.loss;
    refine_zeros(fit);
    Index found = 0;
    for (const double zero : fit.grid.zero.values()) found += zero == 4;
    EXPECT_GE(found, fit.grid.zero.size() * 9 / 10);
    EXPECT_LT(fit.loss, 0.1 * start);
  }
}

TEST(Stages, AreNamedCountedAndFall) {
  const Problem<float> problem(true, true, 17, 2);
  const auto input = hessian::factor_input<float>(
      problem.H.view(), problem.D.view(),
      {.drift = Drift::sequential, .alpha = 0.25, .shift_wanted = true}, "test");
  const auto output =
      hessian::factor_output<float>(problem.H_out.view(), 0.01, Order::descending, "test");
  QuantSpec spec;
  spec.group_size = 17;
  spec.polish = 2;
  spec.refine_zeros = true;
  EXPECT_EQ(stage_words(spec), "solver refine zeros polish refine zeros polish refine zeros");
  for (const Method method : {Method::two_stage, Method::turboboa, Method::gptq, Method::rtn})
    for (const OutputSide<float>* side :
         {static_cast<const OutputSide<float>*>(nullptr), &output}) {
      const auto found = solver<float>(method).solve(problem.W.view(), input, side, spec);
      ASSERT_EQ(found.loss_by_stage.size(), stages_of(spec).size());
      EXPECT_EQ(found.loss_by_stage.front(), found.loss_before);
      EXPECT_EQ(found.loss_by_stage.back(), found.loss_after);
      for (std::size_t i = 1; i < found.loss_by_stage.size(); ++i)
        EXPECT_LE(found.loss_by_stage[i], found.loss_by_stage[i - 1] + 1e-5 * found.loss_scale);
      EXPECT_LT(found.loss_after, found.loss_before);
    }
}

TEST(Stages, GroupsOfZerosAreCountedAndNothingBecomesNaN) {
  Problem<float> problem(true, false, 17, 2);
  for (Index r = 0; r < 12; ++r)
    for (Index c = 17; c < 34; ++c) problem.W(r, c) = r < 5 ? 0.f : problem.W(r, c);
  for (Index c = 0; c < 136; ++c) problem.W(7, c) = 0;
  const auto input = hessian::factor_input<float>(problem.H.view(), {}, {}, "test");
  const auto output =
      hessian::factor_output<float>(problem.H_out.view(), 0.01, Order::original, "test");
  QuantSpec spec;
  spec.group_size = 17;
  spec.polish = 1;
  spec.refine_passes = 2;
  spec.refine_zeros = true;
  for (const Method method : {Method::rtn, Method::turboboa}) {
    const auto found = solver<float>(method).solve(problem.W.view(), input, &output, spec);
    EXPECT_EQ(found.frozen_scales, frozen_scales<float>(found.codes.view(), found.grid));
    for (const float scale : found.grid.scale.values()) EXPECT_TRUE(std::isfinite(scale));
    EXPECT_TRUE(std::isfinite(found.loss_after));
  }
  spec.polish = 0;
  spec.refine_zeros = false;
  const auto rounded = solver<float>(Method::rtn).solve(problem.W.view(), input, nullptr, spec);
  EXPECT_EQ(rounded.frozen_scales, 5 + 8);
}

}  // namespace
}  // namespace constrictor::quant
