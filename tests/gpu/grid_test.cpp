// SPDX-License-Identifier: Apache-2.0
// Grids on the device against quant::fit_grid and the search without shortcuts.
#include "quant/candidates.hpp"
#include "quant/grid_gpu.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::quant {
namespace {

/// Rows that look like bfloat16 weights (exact ties between codes), and corner cases.
Matrix<float> weights(Index rows, Index n, unsigned seed) {
  auto W = random_matrix<float>(rows, n, seed);
  for (float& v : W.values()) v = rounded_to_bfloat16(v);
  for (Index c = 0; c < n; ++c) {
    W(0, c) = 0;
    if (rows > 1) W(1, c) = 0.25f;
    if (rows > 2) W(2, c) = -std::abs(W(2, c));
  }
  return W;
}

/// q(w) - w in float64.
double error(float w, float scale, float zero, float top) {
  const float code = std::min(top, std::max(0.f, std::rint(w / scale) + zero));
  return double(scale) * double(code - zero) - double(w);
}

/// For searches that do not look at H.
InputSide<float> no_metric(Index n) {
  InputSide<float> side;
  side.H = Matrix<float>(n, n);
  return side;
}

struct GridsOnDevice : test::OnDevice {
  Grid<float> fitted(const Matrix<float>& W, const InputSide<float>& side,
                     const GridSettings& settings) {
    const auto device_W = to_device(W);
    const auto device_side = test::on_device(gpu, side);
    DeviceGrid grid(gpu, W.rows(), W.cols(), settings.bits,
                    settings.group_size > 0 ? settings.group_size : W.cols());
    GridFitter(gpu, device_side, settings)
        .fit(device_W.view(), grid.scale.view(), grid.zero.view());
    return downloaded(gpu, grid, settings.bits);
  }

  /// The device's choice of each row and group is the host's, or as good.
  template <class Score>
  void compare(const Grid<float>& found, const Grid<float>& expected, Score&& score) {
    for (Index r = 0; r < expected.scale.rows(); ++r)
      for (Index g = 0; g < expected.groups(); ++g) {
        const bool equal =
            found.scale(r, g) == expected.scale(r, g) && found.zero(r, g) == expected.zero(r, g);
        choices.compare(equal);
        if (equal) continue;
        const double best = score(r, g, expected.scale(r, g), expected.zero(r, g)),
                     ours = score(r, g, found.scale(r, g), found.zero(r, g));
        EXPECT_NEAR(ours / best, 1, 1e-5) << "row " << r << " group " << g;
      }
  }
  void compare_hessian(const Matrix<float>& W, const InputSide<float>& side,
                       const Grid<float>& expected, const GridSettings& settings) {
    compare(fitted(W, side, settings), expected, [&](Index r, Index g, float s, float z) {
      const Index size = expected.group_size;
      double sum = 0;
      for (Index a = g * size; a < (g + 1) * size; ++a)
        for (Index b = g * size; b < (g + 1) * size; ++b)
          sum += error(W(r, a), s, z, expected.top) * double(side.H(a, b)) *
                 error(W(r, b), s, z, expected.top);
      return sum;
    });
  }
  test::Agreement choices;
};

TEST_F(GridsOnDevice, RangesAndMinmaxAreTheHostsBitForBit) {
  for (const bool symmetric : {false, true})
    for (const GridSearch search : {GridSearch::minmax, GridSearch::mse})
      for (const int bits : {2, 5, 8})
        for (const Index n : {1, 7, 31, 32, 33, 300}) {
          const auto W = weights(9, n, unsigned(n));
          const GridSettings settings{bits, symmetric, 0, search};
          const auto device_W = to_device(W);
          device::DeviceMatrix<kernels::GridRange> ranges(gpu, 9, 1, "ranges");
          kernels::grid_ranges(gpu.main(), device_W.view(), n,
                               symmetric                      ? kernels::ZeroPoints::middle
                               : search == GridSearch::minmax ? kernels::ZeroPoints::nearest
                                                              : kernels::ZeroPoints::two,
                               float((1 << bits) - 1), ranges.view());
          const auto found = to_host(ranges);
          for (Index r = 0; r < 9; ++r) {
            const auto expected = range_of<float>(W.row(r), n, settings);
            EXPECT_EQ(found(r, 0).low, expected.low);
            EXPECT_EQ(found(r, 0).high, expected.high);
            EXPECT_EQ(found(r, 0).zeros[0], expected.zeros[0]);
            EXPECT_EQ(found(r, 0).zeros[1], expected.zeros[expected.n_zeros - 1]);
          }
          if (search == GridSearch::mse) continue;
          const auto grid = fitted(W, no_metric(n), settings);
          const auto expected = fit_grid<float>(W.view(), {}, settings);
          choices.compare(grid.scale, expected.scale);
          choices.compare(grid.zero, expected.zero);
        }
  EXPECT_EQ(choices.different(), 0);
}

TEST_F(GridsOnDevice, MseIsTheHosts) {
  for (const bool symmetric : {false, true})
    for (const int bits : {2, 4})
      for (const Index n : {1, 12, 96}) {
        const auto W = weights(20, n, unsigned(n + bits));
        const GridSettings settings{bits, symmetric, n == 96 ? Index{32} : 0, GridSearch::mse};
        const auto expected = fit_grid<float>(W.view(), {}, settings);
        compare(fitted(W, no_metric(n), settings), expected,
                [&](Index r, Index g, float s, float z) {
                  double sum = 1e-30;
                  for (Index c = g * expected.group_size; c < (g + 1) * expected.group_size; ++c)
                    sum += std::pow(std::abs(error(W(r, c), s, z, expected.top)), 2.4);
                  return sum;
                });
      }
  EXPECT_GE(choices.share(), 0.98) << choices.different() << " of " << choices.compared();
}

TEST_F(GridsOnDevice, HessianChoosesWhatTheFullSearchChooses) {
  unsigned seed = 1;
  for (const int bits : {2, 3, 8})
    for (const bool symmetric : {false, true})
      for (const Index n : {1, 7, 64, 65, 150, 300}) {
        const auto W = weights(n < 100 ? 60 : 20, n, ++seed);
        InputSide<float> side;
        side.H = random_hessian<float>(n, ++seed);
        const GridSettings settings{bits, symmetric, 0, GridSearch::hessian};
        const bool descending = n == 65 || n == 150;
        side = hessian::factor_input<float>(
            side.H.view(), {}, {.column_order = descending ? Order::descending : Order::original},
            "test");
        Grid<float> expected(W.rows(), n, bits, n);
        search_hessian_full<float>(W.view(), side.H.view(), settings, expected.scale.data(),
                                   expected.zero.data(), 1);
        compare_hessian(W, side, expected, settings);
      }
  // Wide enough for several stages.
  const auto W = weights(8, 544, 30);
  const auto side = test::random_side(544, 31, {});
  ASSERT_GT(search_plan(544).stages.size(), 1u);
  const GridSettings settings{2, false, 0, GridSearch::hessian};
  compare_hessian(W, side, fit_grid<float>(W.view(), metric_of(side), settings), settings);
  EXPECT_GT(choices.compared(), 1500);
  EXPECT_LE(choices.different(), choices.compared() / 1000) << "of " << choices.compared();
}

TEST_F(GridsOnDevice, GroupsHaveTheirOwnBlocksOfH) {
  for (const auto& [n, size] : {std::pair<Index, Index>{96, 32}, {520, 260}}) {
    const auto W = weights(12, n, 40);
    const auto side = test::random_side(n, 41, {.column_order = Order::descending});
    const GridSettings settings{2, false, size, GridSearch::hessian};
    compare_hessian(W, side, fit_grid<float>(W.view(), metric_of(side), settings), settings);
  }
  EXPECT_EQ(choices.different(), 0);
}

TEST_F(GridsOnDevice, WithoutARootEveryCandidateIsScored) {
  for (const Index n : {2, 50, 300}) {
    const auto W = weights(10, n, 50);
    InputSide<float> side;
    side.H = random_hessian<float>(n, 51);
    side.H(n - 1, n - 1) = -0.01f;  // indefinite
    const GridSettings settings{3, false, 0, GridSearch::hessian};
    compare_hessian(W, side, fit_grid<float>(W.view(), metric_of(side), settings), settings);
  }
  EXPECT_EQ(choices.different(), 0);
}

TEST_F(GridsOnDevice, DroppingHopelessCandidatesChangesNothing) {
  for (const int bits : {2, 4})
    for (const Index n : {200}) {
      constexpr Index rows = 20;
      const auto W = weights(rows, n, unsigned(60 + bits));
      const auto side = test::random_side(n, 61, {});
      const auto H = to_device(side.H), R = to_device(side.R), w = to_device(W);
      const float top = float((1 << bits) - 1);
      device::DeviceMatrix<kernels::GridRange> ranges(gpu, rows, 1, "ranges");
      kernels::grid_ranges(gpu.main(), w.view(), n, kernels::ZeroPoints::two, top, ranges.view());
      const auto chosen = [&](const SearchPlan& plan) {
        DeviceGrid grid(gpu, rows, n, bits, n);
        HessianSearch(gpu, H.view(), R.view(), {}, plan)
            .fit(w.view(), read_only(ranges.view()), 2, top, grid.scale.view(), grid.zero.view());
        return downloaded(gpu, grid, bits);
      };
      const auto whole = chosen({{0}, n, rows * 200, 512}),
                 pruned = chosen({{192, 128, 72, 0}, 64, 700, 512});
      choices.compare(whole.scale, pruned.scale);
      choices.compare(whole.zero, pruned.zero);
    }
  EXPECT_EQ(choices.different(), 0) << choices.compared();
}

/// What the choice of close candidates rests on: no score is further from the truth than is
/// claimed.
TEST_F(GridsOnDevice, ScoresAreWithinTheirErrors) {
  double tightest = 0;
  for (const int bits : {2, 4, 8})
    for (const Index n : {5, 64, 300}) {
      const auto W = weights(12, n, unsigned(70 + bits));
      const auto side = test::random_side(n, 71, {.column_order = Order::descending});
      const auto H = to_device(side.H), R = to_device(side.R), w = to_device(W);
      const float top = float((1 << bits) - 1);
      device::DeviceMatrix<kernels::GridRange> ranges(gpu, 12, 1, "ranges");
      kernels::grid_ranges(gpu.main(), w.view(), n, kernels::ZeroPoints::two, top, ranges.view());
      const auto host_ranges = to_host(ranges);
      const auto scores = HessianSearch(gpu, H.view(), R.view(), side.order, search_plan(n))
                              .all_scores(w.view(), read_only(ranges.view()), 2, top);
      for (Index r = 0; r < 12; ++r)
        for (Index k = 0; k < 200; ++k) {
          const auto& range = host_ranges(r, 0);
          const float s = kernels::shrunk_scale<float>(range.low, range.high, k / 2, top);
          double truth = 0;
          for (Index c = 0; c < n; ++c) {
            double y = 0;
            for (Index i = 0; i <= c; ++i)
              y += error(W(r, side.order[std::size_t(i)]), s, range.zeros[k % 2], top) *
                   double(side.R(i, c));
            truth += y * y;
          }
          const double root = std::sqrt(double(scores.score(r, k))),
                       bound = double(scores.error(r, 0)) + double(s) * double(scores.error(r, 1)) +
                               double(scores.relative) * root,
                       off = std::abs(root - std::sqrt(truth));
          ASSERT_LE(off, bound) << bits << " bits, n " << n << ", row " << r << ", " << k;
          if (r > 0) tightest = std::max(tightest, off / bound);
        }
    }
  EXPECT_GT(tightest, 1e-3) << "the bound is so wide that nothing would ever be decided";
}

}  // namespace
}  // namespace constrictor::quant
