// SPDX-License-Identifier: Apache-2.0
#include "linalg/factor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "linalg/gemm.hpp"

namespace constrictor::linalg {
namespace {

/// U with U(i, j) = closed form, so that H = (U'U)^-1 has a factor we know: H = R R', R = U^-1.
/// R(i, j) = 1 + i / n on the diagonal, 1 / (1 + j - i) / 2 above it.
template <class T>
Matrix<T> known_root(Index n) {
  Matrix<T> R(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index j = i; j < n; ++j)
      R(i, j) = i == j ? T(1) + T(i) / T(n) : T(0.5) / T(1 + j - i) / T(n > 8 ? 4 : 1);
  return R;
}

template <class T>
class Factor : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Factor, Scalars);

TYPED_TEST(Factor, IsTheInverseOfTheKnownRoot) {
  using T = TypeParam;
  for (const Index n : {1, 2, 127, 128, 129, 300, 517}) {
    const auto R = known_root<T>(n);
    Matrix<T> H(n, n);
    gemm<T>(Transpose::no, Transpose::yes, T(1), R.view(), R.view(), T(0), H.view());
    Matrix<T> U(n, n);
    ASSERT_TRUE(inverse_factor<T>(H.view(), U.view())) << n;
    const auto I = product<T>(U.view(), R.view());  // U R = 1
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) {
        ASSERT_NEAR(double(I(i, j)), i == j, double(n) * 40 * std::numeric_limits<T>::epsilon())
            << n;
        if (j < i) {
          ASSERT_EQ(U(i, j), T(0));
        }
      }
    const auto inverse = inverse_from_factor<T>(U.view());
    const auto one = product<T>(inverse.view(), H.view());
    for (Index i = 0; i < n; ++i)
      ASSERT_NEAR(double(one(i, i)), 1, double(n) * 400 * std::numeric_limits<T>::epsilon());
  }
}

TYPED_TEST(Factor, RefusesWhatIsNotPositiveDefinite) {
  using T = TypeParam;
  Matrix<T> H(3, 3), U(3, 3);
  H(0, 0) = H(1, 1) = H(2, 2) = 1;
  H(0, 1) = H(1, 0) = 2;
  EXPECT_FALSE(inverse_factor<T>(H.view(), U.view()));
  H(0, 1) = H(1, 0) = std::numeric_limits<T>::quiet_NaN();
  EXPECT_FALSE(inverse_factor<T>(H.view(), U.view()));
  Matrix<T> zero(2, 2), V(2, 2);
  EXPECT_FALSE(inverse_factor<T>(zero.view(), V.view()));
}

TYPED_TEST(Factor, DriftPropagatorIsItsDefinition) {
  using T = TypeParam;
  for (const Index n : {1, 5, 256, 300}) {
    const auto U = known_root<T>(n);
    auto D = Matrix<T>::uninitialized(n, n);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) D(i, j) = T(std::sin(double(3 * i + 7 * j)));
    Matrix<T> A(n, n);
    gemm<T>(Transpose::no, Transpose::yes, T(1), D.view(), U.view(), T(0), A.view());
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j <= i; ++j) A(i, j) = 0;
    const auto expected = product<T>(A.view(), U.view());
    const auto P = drift_propagator<T>(D.view(), U.view());
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j)
        ASSERT_NEAR(double(P(i, j)), double(expected(i, j)),
                    200 * double(n) * std::numeric_limits<T>::epsilon())
            << n;
  }
}

}  // namespace
}  // namespace constrictor::linalg
