// SPDX-License-Identifier: Apache-2.0
#include "linalg/factor.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::linalg {
namespace {

constexpr Index width = 128;  // of a panel; fixed, so that the bits do not depend on the threads
constexpr Index tile = 256;   // of the parallel pieces

int narrow(Index n) { return static_cast<int>(n); }

// Row-major lower is column-major upper: LAPACK is called in its own order and copies nothing.
int potrf(View<float> A) {
  return LAPACKE_spotrf_work(LAPACK_COL_MAJOR, 'U', narrow(A.rows), A.data, narrow(A.stride));
}
int potrf(View<double> A) {
  return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', narrow(A.rows), A.data, narrow(A.stride));
}
int trtri(View<float> A) {
  return LAPACKE_strtri_work(LAPACK_COL_MAJOR, 'U', 'N', narrow(A.rows), A.data, narrow(A.stride));
}
int trtri(View<double> A) {
  return LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'U', 'N', narrow(A.rows), A.data, narrow(A.stride));
}

/// X <- X L^-T for lower L.
void solve_panel(View<const float> L, View<float> X) {
  cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, narrow(X.rows),
              narrow(X.cols), 1.f, L.data, narrow(L.stride), X.data, narrow(X.stride));
}
void solve_panel(View<const double> L, View<double> X) {
  cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, narrow(X.rows),
              narrow(X.cols), 1., L.data, narrow(L.stride), X.data, narrow(X.stride));
}

/// A <- L, lower Cholesky factor in place (right-looking); the upper triangle is left as it is.
template <class T>
bool cholesky_lower(View<T> A) {
  const Index n = A.rows;
  for (Index first = 0; first < n; first += width) {
    const Index last = std::min(n, first + width), rest = n - last, w = last - first;
    int info = 0;
    const auto corner = A.block(first, first, w, w);
    parallel_for(1, [&](Index) { info = potrf(corner); });
    if (info != 0) return false;
    const auto panel = A.block(last, first, rest, w);
    parallel_for(pieces(rest, tile), [&](Index t) {
      const Piece rows = piece(rest, tile, t);
      solve_panel(read_only(corner), panel.rows_from(rows.first, rows.size()));
    });
    const Index tiles = pieces(rest, tile);
    parallel_for(tiles * tiles, [&](Index t) {
      if (t % tiles > t / tiles) return;
      const Piece rows = piece(rest, tile, t / tiles), cols = piece(rest, tile, t % tiles);
      gemm<T>(Transpose::no, Transpose::yes, T(-1),
              read_only(panel.rows_from(rows.first, rows.size())),
              read_only(panel.rows_from(cols.first, cols.size())), T(1),
              A.block(last + rows.first, last + cols.first, rows.size(), cols.size()));
    });
  }
  return true;
}

/// M = L^-1 for lower L, row panel by row panel: M_i = [-L_ii^-1 L_i,: M, L_ii^-1]; zeros above.
template <class T>
void invert_lower(View<T> L, View<T> M) {
  const Index n = L.rows;
  for (Index first = 0; first < n; first += width) {
    const Index last = std::min(n, first + width), w = last - first;
    auto corner = L.block(first, first, w, w);
    parallel_for(1, [&](Index) { CONSTRICTOR_REQUIRE(trtri(corner) == 0, first); });
    for (Index r = 0; r < w; ++r)
      for (Index c = 0; c < n - first; ++c) M(first + r, first + c) = c <= r ? corner(r, c) : T(0);
    Matrix<T> inner = Matrix<T>::uninitialized(w, first);
    const auto left = L.block(first, 0, w, first);
    parallel_for(pieces(first, tile), [&](Index t) {  // column tile of M starts at its diagonal
      const Piece cols = piece(first, tile, t);
      gemm<T>(Transpose::no, Transpose::no, T(1),
              read_only(left.cols_from(cols.first, first - cols.first)),
              read_only(M.block(cols.first, cols.first, first - cols.first, cols.size())), T(0),
              inner.view().cols_from(cols.first, cols.size()));
      gemm<T>(Transpose::no, Transpose::no, T(-1), read_only(M.block(first, first, w, w)),
              read_only(inner.view().cols_from(cols.first, cols.size())), T(0),
              M.block(first, cols.first, w, cols.size()));
    });
  }
}

template <class T>
bool positive_diagonal(View<const T> A) {
  for (Index i = 0; i < A.rows; ++i)
    if (!(A(i, i) > T(0)) || !std::isfinite(A(i, i))) return false;
  return true;
}

}  // namespace

namespace {

/// L with J H J = L L', lower triangle only; empty when a pivot is not positive.
template <class T>
Matrix<T> flipped_cholesky(View<const T> H) {
  const Index n = H.rows;
  CONSTRICTOR_REQUIRE(H.cols == n, H.rows, H.cols);
  if (!positive_diagonal(H)) return {};
  auto L = Matrix<T>::uninitialized(n, n);
  for (Index r = 0; r < n; ++r)
    for (Index c = 0; c <= r; ++c) L(r, c) = H(n - 1 - r, n - 1 - c);
  if (!cholesky_lower(L.view()) || !positive_diagonal<T>(L.view())) return {};
  return L;
}

/// Upper triangular J M J for lower triangular M; what stands above M's diagonal is not read.
template <class T>
void flip_to_upper(View<const T> M, View<T> U) {
  const Index n = M.rows;
  CONSTRICTOR_REQUIRE(U.rows == n && U.cols == n, U.rows, U.cols, n);
  for (Index r = 0; r < n; ++r)
    for (Index c = 0; c < n; ++c) U(r, c) = c >= r ? M(n - 1 - r, n - 1 - c) : T(0);
}

}  // namespace

template <class T>
bool inverse_factor(View<const T> H, View<T> U, View<T> R) {
  Matrix<T> L = flipped_cholesky(H);
  if (L.empty()) return H.rows == 0;
  if (R.rows > 0) flip_to_upper<T>(L.view(), R);
  auto M = Matrix<T>::uninitialized(H.rows, H.rows);
  invert_lower(L.view(), M.view());
  flip_to_upper<T>(M.view(), U);
  return positive_diagonal(read_only(U));
}

template <class T>
bool upper_root(View<const T> H, View<T> R) {
  const Matrix<T> L = flipped_cholesky(H);
  if (L.empty()) return H.rows == 0;
  flip_to_upper<T>(L.view(), R);
  return true;
}

template <class T>
double condition_estimate(View<const T> U) {
  if (U.rows == 0) return 1;
  double low = static_cast<double>(U(0, 0)), high = low;
  for (Index i = 0; i < U.rows; ++i) {
    low = std::min(low, static_cast<double>(U(i, i)));
    high = std::max(high, static_cast<double>(U(i, i)));
  }
  return (high / low) * (high / low);
}

template <class T>
Matrix<T> inverse_from_factor(View<const T> U) {
  const Index n = U.rows, tiles = pieces(n, tile);
  auto C = Matrix<T>::uninitialized(n, n);
  parallel_for(tiles * tiles, [&](Index t) {
    const Piece rows = piece(n, tile, t / tiles), cols = piece(n, tile, t % tiles);
    if (cols.first < rows.first) return;  // U'U [r, c] needs U[k, r] with k <= r only
    gemm<T>(Transpose::yes, Transpose::no, T(1), U.block(0, rows.first, rows.last, rows.size()),
            U.block(0, cols.first, rows.last, cols.size()), T(0),
            C.view().block(rows.first, cols.first, rows.size(), cols.size()));
  });
  mirror_upper(C.view());
  return C;
}

template <class T>
Matrix<T> drift_propagator(View<const T> D, View<const T> U) {
  const Index n = U.rows, tiles = pieces(n, tile);
  CONSTRICTOR_REQUIRE(D.rows == n && D.cols == n && U.cols == n, D.rows, D.cols, n);
  const auto upper = [&](auto&& fn) {
    parallel_for(tiles * tiles, [&](Index t) {
      const Piece rows = piece(n, tile, t / tiles), cols = piece(n, tile, t % tiles);
      if (cols.first >= rows.first) fn(rows, cols);
    });
  };
  Matrix<T> A(n, n), P(n, n);
  upper([&](Piece rows, Piece cols) {  // A = triu(D U', 1); (D U')[r, c] = sum over k >= c
    const Index k = n - cols.first;
    gemm<T>(Transpose::no, Transpose::yes, T(1), D.block(rows.first, cols.first, rows.size(), k),
            U.block(cols.first, cols.first, cols.size(), k), T(0),
            A.view().block(rows.first, cols.first, rows.size(), cols.size()));
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index c = cols.first; c < std::min(cols.last, r + 1); ++c) A(r, c) = 0;
  });
  upper([&](Piece rows, Piece cols) {  // A U: k runs from the row tile to the column tile
    const Index k = cols.last - rows.first;
    gemm<T>(Transpose::no, Transpose::no, T(1),
            read_only(A.view()).block(rows.first, rows.first, rows.size(), k),
            U.block(rows.first, cols.first, k, cols.size()), T(0),
            P.view().block(rows.first, cols.first, rows.size(), cols.size()));
  });
  return P;
}

template bool inverse_factor(View<const float>, View<float>, View<float>);
template bool upper_root(View<const float>, View<float>);
template bool inverse_factor(View<const double>, View<double>, View<double>);
template bool upper_root(View<const double>, View<double>);
template double condition_estimate(View<const float>);
template double condition_estimate(View<const double>);
template Matrix<float> inverse_from_factor(View<const float>);
template Matrix<double> inverse_from_factor(View<const double>);
template Matrix<float> drift_propagator(View<const float>, View<const float>);
template Matrix<double> drift_propagator(View<const double>, View<const double>);

}  // namespace constrictor::linalg
