// SPDX-License-Identifier: Apache-2.0
#pragma once
// Made-up layers: weights, a positive definite H with a decaying spectrum, a drift.
#include <random>

#include "core/matrix.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::quant {

template <class T>
Matrix<T> random_matrix(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  auto m = Matrix<T>::uninitialized(rows, cols);
  for (T& v : m.values()) v = T(normal(engine));
  return m;
}

/// B B' / n + 0.05, columns of B weighted 1 / (1 + k / 4): correlated inputs, as in real layers.
template <class T>
Matrix<T> random_hessian(Index n, unsigned seed) {
  auto B = random_matrix<T>(n, n, seed);
  for (Index r = 0; r < n; ++r)
    for (Index k = 0; k < n; ++k) B(r, k) /= T(1 + double(k) / 4);
  Matrix<T> H(n, n);
  linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::yes, T(1), B.view(), B.view(), T(0),
                  H.view());
  for (Index i = 0; i < n; ++i) H(i, i) += T(0.05);
  return H;
}

}  // namespace constrictor::quant
