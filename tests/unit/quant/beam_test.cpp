// SPDX-License-Identifier: Apache-2.0
// The K-best sweep against exhaustive search and a plain text of its rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "hessian/damped.hpp"
#include "kernels/beam_sweep.hpp"
#include "quant/beam_sweep.hpp"
#include "quant/loss.hpp"
#include "quant/sweep.hpp"
#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

struct Problem {
  Matrix<double> W;
  InputSide<double> side;
  Grid<double> grid;

  Problem(Index rows, Index in, unsigned seed, int bits = 2, Index group = 0,
          Order order = Order::original)
      : W(random_matrix<double>(rows, in, seed)),
        side(hessian::factor_input<double>(random_hessian<double>(in, seed + 100).view(), {},
                                           {.column_order = order}, "test")),
        grid(fit_grid<double>(W.view(), {side.H.view(), {}, {}},
                              {bits, false, group, GridSearch::minmax})) {}

  std::vector<double> losses(const Matrix<std::uint8_t>& codes) const {
    const auto Q = dequantize<double>(codes.view(), grid);
    const Objective<double> objective(W.view(), side.H.view(), {}, {});
    std::vector<double> losses;
    for (Index r = 0; r < W.rows(); ++r) {
      double loss = 0;
      for (Index i = 0; i < W.cols(); ++i)
        for (Index j = 0; j < W.cols(); ++j)
          loss += (Q(r, i) - W(r, i)) * side.H(i, j) * (Q(r, j) - W(r, j));
      losses.push_back(loss);
    }
    return losses;
  }
  double loss(Index beam) const {
    const auto of_rows = losses(sweep<double>(W.view(), side, grid, beam));
    return std::accumulate(of_rows.begin(), of_rows.end(), 0.);
  }
};

/// The rules of kernels/beam_sweep.hpp as they read, on whole rows.
Matrix<std::uint8_t> plain_beam(const Problem& p, Index kept) {
  struct Prefix {
    double cost = 0;
    std::vector<double> w;
    std::vector<std::uint8_t> codes;
  };
  Matrix<std::uint8_t> codes(p.W.rows(), p.W.cols());
  const auto& U = p.side.U;
  const auto column = [&](Index c) {
    return p.side.order.empty() ? c : Index{p.side.order[std::size_t(c)]};
  };
  for (Index r = 0; r < p.W.rows(); ++r) {
    std::vector<Prefix> beam(1);
    for (Index c = 0; c < p.W.cols(); ++c) beam[0].w.push_back(p.W(r, column(c)));
    for (Index c = 0; c < p.W.cols(); ++c) {
      const Index g = column(c) / p.grid.group_size;
      const double s = p.grid.scale(r, g), z = p.grid.zero(r, g), top = p.grid.top;
      std::vector<Prefix> candidates;
      for (const bool second : {false, true})
        for (const Prefix& prefix : beam) {
          const double w = prefix.w[std::size_t(c)];
          double code = kernels::code_of<double>(w, s, z, top);
          if (second) {
            code += w > s * (code - z) ? 1 : -1;
            if (code < 0) code = 1;
            if (code > top) code = top - 1;
          }
          const double e = (w - s * (code - z)) / U(c, c);
          candidates.push_back(prefix);
          Prefix& next = candidates.back();
          next.cost += e * e;
          next.codes.push_back(std::uint8_t(code));
          for (Index j = c + 1; j < p.W.cols(); ++j) next.w[std::size_t(j)] -= e * U(c, j);
        }
      std::stable_sort(candidates.begin(), candidates.end(),
                       [](const Prefix& a, const Prefix& b) { return a.cost < b.cost; });
      if (Index(candidates.size()) > kept) candidates.resize(std::size_t(kept));
      beam = std::move(candidates);
    }
    for (Index c = 0; c < p.W.cols(); ++c) codes(r, column(c)) = beam[0].codes[std::size_t(c)];
  }
  return codes;
}

Index differences(const Matrix<std::uint8_t>& a, const Matrix<std::uint8_t>& b) {
  Index n = 0;
  for (Index i = 0; i < a.size(); ++i) n += a.data()[i] != b.data()[i];
  return n;
}

TEST(Beam, FollowsItsRulesAcrossPanelsBatchesAndOrders) {
  for (const Index in : {1, 2, 5, 127, 128, 129, 300})
    for (const Index kept : {2, 3, 8, 64})
      for (const Index rows : {1, 9}) {
        if (in == 300 && kept == 64 && rows == 9) continue;  // slow in plain text
        const Problem p(rows, in, unsigned(in), 2, in == 300 ? 100 : 0,
                        in == 129 ? Order::pivoted : Order::original);
        EXPECT_EQ(differences(sweep<double>(p.W.view(), p.side, p.grid, kept), plain_beam(p, kept)),
                  0)
            << in << " " << kept << " " << rows;
      }
  const Problem many(300, 140, 5);  // more rows than one batch holds
  EXPECT_EQ(differences(sweep<double>(many.W.view(), many.side, many.grid, 3), plain_beam(many, 3)),
            0);
}

TEST(Beam, OfOneIsTheSweep) {
  for (const Index in : {1, 130, 300}) {
    const Problem p(20, in, 7, 3);
    const std::vector<std::int32_t> group(std::size_t(in), 0);
    EXPECT_EQ(differences(beam_sweep<double>(p.W.view(), p.side.U.view(), p.grid, group, 1),
                          sweep<double>(p.W.view(), p.side, p.grid)),
              0)
        << in;
  }
}

/// The least cost of columns `column` .. over every choice between the two nearest codes.
double least_cost(const Problem& p, Index row, Index column, std::vector<double> w) {
  if (column == p.W.cols()) return 0;
  const double s = p.grid.scale(row, 0), z = p.grid.zero(row, 0), here = w[std::size_t(column)];
  std::vector<double> codes(std::size_t(p.grid.top) + 1);
  std::iota(codes.begin(), codes.end(), 0.);
  std::sort(codes.begin(), codes.end(), [&](double a, double b) {
    return std::abs(here - s * (a - z)) < std::abs(here - s * (b - z));
  });
  double least = 1e300;
  for (const double code : {codes[0], codes[1]}) {
    const double e = (here - s * (code - z)) / p.side.U(column, column);
    auto after = w;
    for (Index j = column + 1; j < p.W.cols(); ++j)
      after[std::size_t(j)] -= e * p.side.U(column, j);
    least = std::min(least, e * e + least_cost(p, row, column + 1, std::move(after)));
  }
  return least;
}

/// Six columns at two bits: a beam of 64 drops no prefix, so that it finds the minimum of all
/// choices between two nearest codes. Of all 4096 choices a third code is rarely better.
TEST(Beam, ThatKeepsEverythingFindsTheMinimum) {
  Index best = 0, rows = 0;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    const Problem p(16, 6, seed);
    const auto found = p.losses(sweep<double>(p.W.view(), p.side, p.grid, 64));
    std::vector<double> least(16, 1e300);
    Matrix<std::uint8_t> codes(16, 6);
    for (int choice = 0; choice < 4096; ++choice) {
      for (Index r = 0; r < 16; ++r)
        for (Index c = 0; c < 6; ++c) codes(r, c) = std::uint8_t(choice >> (2 * c) & 3);
      const auto losses = p.losses(codes);
      for (std::size_t r = 0; r < 16; ++r) least[r] = std::min(least[r], losses[r]);
    }
    for (std::size_t r = 0; r < 16; ++r) {
      EXPECT_NEAR(found[r], least_cost(p, Index(r), 0, {p.W.row(Index(r)), p.W.row(Index(r)) + 6}),
                  1e-9 * found[r]);
      EXPECT_GE(found[r], least[r] * (1 - 1e-9));
      best += found[r] <= least[r] * (1 + 1e-9);
      ++rows;
    }
  }
  EXPECT_GE(best, rows * 7 / 8);
}

TEST(Beam, WiderIsBetterOnTheMean) {
  double before = 1e300;
  for (const Index kept : {1, 2, 4, 16, 64}) {
    double loss = 0;
    for (unsigned seed = 1; seed <= 4; ++seed) loss += Problem(32, 160, seed).loss(kept);
    EXPECT_LT(loss, before) << kept;
    before = loss;
  }
}

/// Without correlations nothing is better than plain rounding, and of two equal codes the one that
/// rounding takes comes first.
TEST(Beam, TiesGoToPlainRounding) {
  Problem p(8, 200, 9, 3);
  p.side.U.fill(0);
  for (Index i = 0; i < 200; ++i) p.side.U(i, i) = 1;
  for (Index r = 0; r < 8; ++r) {
    p.grid.scale(r, 0) = 0.5;
    p.grid.zero(r, 0) = 3;
    for (Index c = 0; c < 200; ++c) p.W(r, c) = 0.25 * double((r + c) % 17 - 8);  // half way
  }
  EXPECT_EQ(differences(sweep<double>(p.W.view(), p.side, p.grid, 8),
                        round_to_grid<double>(p.W.view(), p.grid)),
            0);
}

TEST(Beam, InFloatIsAsGoodAsInDouble) {
  const Problem p(64, 400, 11);
  InputSide<float> side;
  side.U = converted<float>(p.side.U.view());
  Grid<float> grid(64, 400, 2, 400);
  grid.scale = converted<float>(p.grid.scale.view());
  grid.zero = converted<float>(p.grid.zero.view());
  const auto W = converted<float>(p.W.view());
  const auto of_rows = p.losses(sweep<float>(W.view(), side, grid, 8));
  const double loss = std::accumulate(of_rows.begin(), of_rows.end(), 0.);
  EXPECT_NEAR(loss / p.loss(8), 1, 0.01);
}

}  // namespace
}  // namespace constrictor::quant
