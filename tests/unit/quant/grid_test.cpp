// SPDX-License-Identifier: Apache-2.0
#include "quant/grid.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "random_problem.hpp"

namespace constrictor::quant {
namespace {

template <class T>
class GridSearchTest : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GridSearchTest, Scalars);

TYPED_TEST(GridSearchTest, SparseUpdatesChooseWhatTheFullSearchChooses) {
  using T = TypeParam;
  unsigned seed = 1;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {false, true})
      for (const Index n : {1, 7, 64, 65, 150, 300}) {
        const Index rows = n < 100 ? 40 : 15;
        auto W = random_matrix<T>(rows, n, ++seed);
        // bfloat16 values make exact ties between codes; a zero row and a constant one are corner
        // cases
        for (T& v : W.values()) v = T(rounded_to_bfloat16(float(v)));
        for (Index c = 0; c < n; ++c) W(0, c) = 0, W(1, c) = T(0.25);
        const auto H = random_hessian<T>(n, ++seed);
        const GridSettings settings{bits, symmetric, 0, GridSearch::hessian};
        std::vector<T> scale(std::size_t(rows) * 2), zero(scale.size());
        search_hessian<T>(W.view(), {H.view(), {}, {}}, settings, scale.data(), zero.data(), 1);
        search_hessian_full<T>(W.view(), H.view(), settings, scale.data() + rows,
                               zero.data() + rows, 1);
        for (Index r = 0; r < rows; ++r) {
          EXPECT_EQ(scale[std::size_t(r)], scale[std::size_t(rows + r)])
              << bits << symmetric << " n " << n << " row " << r;
          EXPECT_EQ(zero[std::size_t(r)], zero[std::size_t(rows + r)])
              << bits << symmetric << " n " << n << " row " << r;
        }
      }
}

TYPED_TEST(GridSearchTest, MinmaxSpansTheRowAndReachesItsEnds) {
  using T = TypeParam;
  Matrix<T> W(3, 4);
  const T values[] = {T(-1), T(0.5), T(2), T(0), T(1), T(2), T(3), T(6), T(0), T(0), T(0), T(0)};
  std::copy(std::begin(values), std::end(values), W.data());
  const auto grid = fit_grid<T>(W.view(), {}, {2, false, 0, GridSearch::minmax});
  EXPECT_EQ(grid.scale(0, 0), T(1));
  EXPECT_EQ(grid.zero(0, 0), T(1));
  EXPECT_EQ(grid.scale(1, 0), T(2));  // low = min(0, ...) = 0
  EXPECT_EQ(grid.zero(1, 0), T(0));
  EXPECT_NEAR(double(grid.scale(2, 0)), 2. / 3, 1e-6);  // a zero row counts as [-1, 1]
  const auto codes = round_to_grid<T>(W.view(), grid);
  const int expected[] = {0, 1, 3, 1, 0, 1, 2, 3, 2, 2, 2, 2};  // 0.5 and 1.5 round to even
  for (Index i = 0; i < 12; ++i) EXPECT_EQ(codes.data()[i], expected[i]) << i;
}

TYPED_TEST(GridSearchTest, SymmetricGridsHaveTheirZeroInTheMiddle) {
  using T = TypeParam;
  Matrix<T> W(1, 2);
  W(0, 0) = T(-3), W(0, 1) = T(1);
  const auto grid = fit_grid<T>(W.view(), {}, {4, true, 0, GridSearch::minmax});
  EXPECT_EQ(grid.zero(0, 0), T(8));
  EXPECT_NEAR(double(grid.scale(0, 0)), 6. / 15, 1e-6);
}

TYPED_TEST(GridSearchTest, MseIsTheBestOfAllCandidates) {
  using T = TypeParam;
  const auto W = random_matrix<T>(5, 33, 3);
  const auto grid = fit_grid<T>(W.view(), {}, {3, false, 0, GridSearch::mse});
  const auto score = [&](Index r, double s, double z) {
    double sum = 0;
    for (Index c = 0; c < 33; ++c) {
      const double q =
          s * (std::min(7., std::max(0., std::nearbyint(double(W(r, c)) / s) + z)) - z);
      sum += std::pow(std::abs(q - double(W(r, c))), 2.4);
    }
    return sum;
  };
  for (Index r = 0; r < 5; ++r) {
    double low = 0, high = 0;
    for (Index c = 0; c < 33; ++c)
      low = std::min(low, double(W(r, c))), high = std::max(high, double(W(r, c)));
    const double chosen = score(r, double(grid.scale(r, 0)), double(grid.zero(r, 0))),
                 step = (high - low) / 7;
    for (int i = 0; i < 100; ++i)
      for (const double z : {std::floor(-low / step), std::ceil(-low / step)})
        EXPECT_LE(chosen, score(r, step * (1 - i / 100.), z) * (1 + 1e-5));
  }
}

TYPED_TEST(GridSearchTest, EachGroupIsAGridOfItsOwn) {
  using T = TypeParam;
  const auto W = random_matrix<T>(9, 96, 4), H = random_hessian<T>(96, 5);
  const auto grouped =
      fit_grid<T>(W.view(), {H.view(), {}, {}}, {2, false, 32, GridSearch::hessian});
  ASSERT_EQ(grouped.groups(), 3);
  for (Index g = 0; g < 3; ++g) {
    const Matrix<T> part(W.view().cols_from(g * 32, 32)),
        H_gg(H.view().block(g * 32, g * 32, 32, 32));
    const auto alone =
        fit_grid<T>(part.view(), {H_gg.view(), {}, {}}, {2, false, 0, GridSearch::hessian});
    for (Index r = 0; r < 9; ++r) EXPECT_EQ(grouped.scale(r, g), alone.scale(r, 0));
  }
}

}  // namespace
}  // namespace constrictor::quant
