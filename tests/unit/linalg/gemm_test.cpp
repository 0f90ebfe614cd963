// SPDX-License-Identifier: Apache-2.0
#include "linalg/gemm.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <random>

namespace constrictor::linalg {
namespace {

template <class T>
Matrix<T> random_matrix(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  auto m = Matrix<T>::uninitialized(rows, cols);
  for (T& v : m.values()) v = T(normal(engine));
  return m;
}

/// op(A)(i, k) of a stored matrix.
template <class T>
double at(const Matrix<T>& A, Transpose op, Index i, Index k) {
  return static_cast<double>(static_cast<float>(op == Transpose::yes ? A(k, i) : A(i, k)));
}

struct Shape {
  Index m, n, k;
};
class Gemm : public testing::TestWithParam<Shape> {};

TEST_P(Gemm, EqualsThePlainTripleLoop) {
  const auto [m, n, k] = GetParam();
  for (const Transpose a : {Transpose::no, Transpose::yes})
    for (const Transpose b : {Transpose::no, Transpose::yes}) {
      const auto A =
          a == Transpose::no ? random_matrix<float>(m, k, 1) : random_matrix<float>(k, m, 1);
      const auto B =
          b == Transpose::no ? random_matrix<float>(k, n, 2) : random_matrix<float>(n, k, 2);
      auto C = random_matrix<float>(m, n, 3);
      const auto before = C;
      gemm<float>(a, b, 0.5f, A.view(), B.view(), 2.f, C.view());
      const double tolerance = 1e-6 * std::sqrt(double(k) + 1) * 4;
      for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < n; ++j) {
          double sum = 0;
          for (Index p = 0; p < k; ++p) sum += at(A, a, i, p) * at(B, b, p, j);
          ASSERT_LE(std::abs(C(i, j) - (0.5 * sum + 2. * before(i, j))), tolerance + 1e-6);
        }
    }
}

TEST_P(Gemm, BfloatFactorsSumInFloat32) {
  const auto [m, n, k] = GetParam();
  for (const Transpose a : {Transpose::no, Transpose::yes})
    for (const Transpose b : {Transpose::no, Transpose::yes}) {
      const auto A =
          a == Transpose::no ? random_matrix<bfloat16>(m, k, 1) : random_matrix<bfloat16>(k, m, 1);
      const auto B =
          b == Transpose::no ? random_matrix<bfloat16>(k, n, 2) : random_matrix<bfloat16>(n, k, 2);
      auto C = random_matrix<float>(m, n, 3);
      const auto before = C;
      gemm(a, b, A.view(), B.view(), 1.f, C.view());
      for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < n; ++j) {
          double sum = before(i, j);
          for (Index p = 0; p < k; ++p) sum += at(A, a, i, p) * at(B, b, p, j);
          ASSERT_LE(std::abs(C(i, j) - sum), 4e-6 * std::sqrt(double(k) + 1));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Gemm,
                         testing::Values(Shape{0, 3, 2}, Shape{1, 1, 1}, Shape{3, 5, 0},
                                         Shape{7, 300, 13}, Shape{257, 259, 31},
                                         Shape{16, 1100, 128}));

TEST(Gemm, BitsDoNotDependOnTheNumberOfThreads) {
  const auto A = random_matrix<float>(531, 419, 4), B = random_matrix<float>(419, 777, 5);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = product<float>(A.view(), B.view());
  omp_set_num_threads(3);
  const auto three = product<float>(A.view(), B.view());
  omp_set_num_threads(threads);
  EXPECT_EQ(0, std::memcmp(one.data(), three.data(), one.bytes()));
}

TEST(Gram, UpperTrianglePlusMirrorIsTheCrossProduct) {
  const auto X = random_matrix<float>(97, 301, 6);
  Matrix<float> gram(301, 301), cross(301, 301);
  add_gram<float>(X.view(), gram.view());
  mirror_upper(gram.view());
  add_cross<float>(X.view(), X.view(), cross.view());
  for (Index i = 0; i < 301; ++i)
    for (Index j = 0; j < 301; ++j) ASSERT_NEAR(gram(i, j), cross(i, j), 1e-4);
}

}  // namespace
}  // namespace constrictor::linalg
