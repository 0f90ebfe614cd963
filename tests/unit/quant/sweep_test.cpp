// SPDX-License-Identifier: Apache-2.0
#include "quant/sweep.hpp"

#include <gtest/gtest.h>

#include "hessian/damped.hpp"
#include "kernels/column_sweep.hpp"
#include "quant/loss.hpp"
#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

/// GPTQ as it stands in the method page: one column after the other, on whole matrices.
template <class T>
Matrix<std::uint8_t> plain_gptq(Matrix<T> W, const Matrix<T>& U, const Matrix<T>& P,
                                const Grid<T>& grid) {
  Matrix<std::uint8_t> codes(W.rows(), W.cols());
  for (Index c = 0; c < W.cols(); ++c)
    for (Index r = 0; r < W.rows(); ++r) {
      const T s = grid.scale(r, c / grid.group_size), z = grid.zero(r, c / grid.group_size),
              w = W(r, c);
      const T code = kernels::code_of<T>(w, s, z, grid.top), e = (w - s * (code - z)) / U(c, c);
      codes(r, c) = std::uint8_t(code);
      for (Index j = c + 1; j < W.cols(); ++j)
        W(r, j) -= e * U(c, j) - (P.empty() ? T(0) : w * P(c, j));
    }
  return codes;
}

double equal_share(const Matrix<std::uint8_t>& a, const Matrix<std::uint8_t>& b) {
  Index equal = 0;
  for (Index i = 0; i < a.size(); ++i) equal += a.data()[i] == b.data()[i];
  return a.size() == 0 ? 1 : double(equal) / double(a.size());
}

TEST(Sweep, PanelsEqualThePlainRecursion) {
  for (const Index in : {1, 16, 127, 128, 130, 300})
    for (const Index rows : {1, 3, 4, 16, 21})
      for (const Drift drift : {Drift::none, Drift::sequential}) {
        const auto W = random_matrix<double>(rows, in, 1), H = random_hessian<double>(in, 2);
        auto D = random_matrix<double>(in, in, 3);
        for (double& v : D.values()) v *= 0.05;
        const auto side = hessian::factor_input<double>(H.view(), D.view(),
                                                        {.drift = drift, .alpha = 0.5}, "test");
        ASSERT_EQ(side.P.empty(), drift == Drift::none);
        const auto grid =
            fit_grid<double>(W.view(), {H.view(), {}, {}}, {3, false, 0, GridSearch::minmax});
        EXPECT_EQ(equal_share(sweep<double>(W.view(), side, grid),
                              plain_gptq<double>(W, side.U, side.P, grid)),
                  1.)
            << in << " " << rows;
      }
}

TEST(Sweep, RegisterKernelEqualsItsOracle) {
  for (const Index n : {1, 15, 16, 17, 128})
    for (const Index rows : {4, 15, 16, 17, 40}) {
      const auto W = random_matrix<float>(rows, n, 5), H = random_hessian<float>(n, 6);
      const auto P = random_matrix<float>(n, n, 7);
      const auto side = hessian::factor_input<float>(H.view(), {}, {}, "test");
      const auto grid = fit_grid<float>(W.view(), {}, {2, false, 0, GridSearch::minmax});
      const std::vector<std::int32_t> group(std::size_t(n), 0);
      auto fast = W, slow = W;
      Matrix<float> fast_error(rows, n), slow_error(rows, n);
      Matrix<std::uint8_t> fast_codes(rows, n), slow_codes(rows, n);
      const kernels::PanelGrid<float> panel{grid.scale.view(), grid.zero.view(), group.data(),
                                            grid.top};
      kernels::column_sweep<float>(fast.view(), side.U.view(), P.view(), panel, fast_error.view(),
                                   fast_codes.view());
      kernels::column_sweep_reference<float>(slow.view(), side.U.view(), P.view(), panel,
                                             slow_error.view(), slow_codes.view());
      EXPECT_GE(equal_share(fast_codes, slow_codes), 1 - 1. / double(fast_codes.size() + 1))
          << n << " " << rows;
    }
}

TEST(Sweep, StaticGroupsStayThoseOfTheOriginalOrder) {
  const auto W = random_matrix<double>(6, 64, 8), H = random_hessian<double>(64, 9);
  const auto side =
      hessian::factor_input<double>(H.view(), {}, {.column_order = Order::descending}, "test");
  ASSERT_EQ(side.order.size(), 64u);
  for (std::size_t i = 1; i < 64; ++i)
    EXPECT_GE(H(side.order[i - 1], side.order[i - 1]), H(side.order[i], side.order[i]));
  const auto grid =
      fit_grid<double>(W.view(), {H.view(), {}, {}}, {4, false, 16, GridSearch::minmax});
  const auto codes = sweep<double>(W.view(), side, grid);
  const auto Q = dequantize<double>(codes.view(), grid);
  for (Index i = 0; i < Q.size();
       ++i) {  // every weight near its own grid, whatever the order: 4 bits do not wander far
    const double s = grid.scale(i / 64, i % 64 / 16);
    EXPECT_LE(std::abs(Q.data()[i] - W.data()[i]), 6 * s);
  }
  // The first column of the sweep has received no correction: it is rounded plainly.
  const auto plain = round_to_grid<double>(W.view(), grid);
  for (Index r = 0; r < 6; ++r) EXPECT_EQ(codes(r, side.order[0]), plain(r, side.order[0]));
}

TEST(Sweep, CompensationLowersTheLossOfRounding) {
  const auto W = random_matrix<double>(32, 128, 10), H = random_hessian<double>(128, 11);
  const auto side = hessian::factor_input<double>(H.view(), {}, {}, "test");
  const auto grid =
      fit_grid<double>(W.view(), {side.H.view(), {}, {}}, {3, false, 0, GridSearch::hessian});
  const Objective<double> objective(W.view(), side.H.view(), {}, {});
  const auto loss = [&](const Matrix<std::uint8_t>& codes) {
    const auto Q = dequantize<double>(codes.view(), grid);
    return objective.loss(Q.view(), objective.input_product(Q.view()).view());
  };
  EXPECT_LT(loss(sweep<double>(W.view(), side, grid)),
            0.8 * loss(round_to_grid<double>(W.view(), grid)));
}

}  // namespace
}  // namespace constrictor::quant
