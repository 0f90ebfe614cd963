// SPDX-License-Identifier: Apache-2.0
#include "linalg/gemm.hpp"

#include <cblas.h>

#include <algorithm>

#include "core/parallel.hpp"
#include "linalg/tile_product.hpp"

namespace constrictor::linalg {
namespace {

// Large enough for the library's full speed, small enough to feed several threads.
constexpr Index tile_rows = 256;
constexpr Index tile_cols = 256;
constexpr Index tile_cols_of_thin = 1024;  // few rows: a wider tile repays the packing of A

template <class T>
View<const T> operand_rows(Transpose op, View<const T> X, Piece p) {
  return op == Transpose::yes ? X.block(0, p.first, X.rows, p.size())
                              : X.block(p.first, 0, p.size(), X.cols);
}
template <class T>
View<const T> operand_cols(Transpose op, View<const T> X, Piece p) {
  return operand_rows(op == Transpose::yes ? Transpose::no : Transpose::yes, X, p);
}

enum class Tiles { all, upper };

template <class In, class Out>
void tiled(Transpose op_a, Transpose op_b, Out alpha, View<const In> A, View<const In> B, Out beta,
           View<Out> C, Tiles which = Tiles::all) {
  const Index m = op_a == Transpose::yes ? A.cols : A.rows,
              k = op_a == Transpose::yes ? A.rows : A.cols;
  const Index n = op_b == Transpose::yes ? B.rows : B.cols,
              k_b = op_b == Transpose::yes ? B.cols : B.rows;
  CONSTRICTOR_REQUIRE(C.rows == m && C.cols == n && k == k_b, C.rows, C.cols, m, n, k, k_b);
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (Index r = 0; r < m; ++r)
      for (Index c = 0; c < n; ++c) C(r, c) = beta == Out(0) ? Out(0) : beta * C(r, c);
    return;
  }
  const Index width = m < 64 ? tile_cols_of_thin : tile_cols;
  const Index row_tiles = pieces(m, tile_rows), col_tiles = pieces(n, width);
  parallel_for(row_tiles * col_tiles, [&](Index t) {
    const Piece rows = piece(m, tile_rows, t / col_tiles), cols = piece(n, width, t % col_tiles);
    if (which == Tiles::upper && cols.last <= rows.first) return;
    tile_product(op_a, op_b, alpha, operand_rows(op_a, A, rows), operand_cols(op_b, B, cols), beta,
                 C.block(rows.first, cols.first, rows.size(), cols.size()));
  });
}

}  // namespace

void tile_product(Transpose op_a, Transpose op_b, double alpha, View<const double> A,
                  View<const double> B, double beta, View<double> C) {
  const auto blas = [](Transpose op) { return op == Transpose::yes ? CblasTrans : CblasNoTrans; };
  const auto narrow = [](Index n) { return static_cast<int>(n); };
  const Index k = op_a == Transpose::yes ? A.rows : A.cols;
  cblas_dgemm(CblasRowMajor, blas(op_a), blas(op_b), narrow(C.rows), narrow(C.cols), narrow(k),
              alpha, A.data, narrow(A.stride), B.data, narrow(B.stride), beta, C.data,
              narrow(C.stride));
}

template <class T>
void gemm(Transpose op_a, Transpose op_b, T alpha, View<const T> A, View<const T> B, T beta,
          View<T> C) {
  tiled<T, T>(op_a, op_b, alpha, A, B, beta, C);
}

void gemm(Transpose op_a, Transpose op_b, View<const bfloat16> A, View<const bfloat16> B,
          float beta, View<float> C) {
  tiled<bfloat16, float>(op_a, op_b, 1.f, A, B, beta, C);
}

template <class T>
Matrix<T> product(View<const T> A, View<const T> B) {
  auto C = Matrix<T>::uninitialized(A.rows, B.cols);
  gemm<T>(Transpose::no, Transpose::no, T(1), A, B, T(0), C.view());
  return C;
}

template <class T>
void add_gram(View<const T> X, View<float> S, float beta) {
  tiled<T, float>(Transpose::yes, Transpose::no, 1.f, X, X, beta, S, Tiles::upper);
}

template <class T>
void add_cross(View<const T> X, View<const T> Y, View<float> S, float beta) {
  tiled<T, float>(Transpose::yes, Transpose::no, 1.f, X, Y, beta, S);
}

template <class T>
void add_cross_upper(View<const T> X, View<const T> Y, View<float> S, float beta) {
  tiled<T, float>(Transpose::yes, Transpose::no, 1.f, X, Y, beta, S, Tiles::upper);
}

template <class T>
void mirror_upper(View<T> S) {
  CONSTRICTOR_REQUIRE(S.rows == S.cols, S.rows, S.cols);
  parallel_for(pieces(S.rows, tile_rows), [&](Index t) {
    const Piece rows = piece(S.rows, tile_rows, t);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index c = 0; c < r; ++c) S(r, c) = S(c, r);
  });
}

template void gemm(Transpose, Transpose, float, View<const float>, View<const float>, float,
                   View<float>);
template void gemm(Transpose, Transpose, double, View<const double>, View<const double>, double,
                   View<double>);
template Matrix<float> product(View<const float>, View<const float>);
template Matrix<double> product(View<const double>, View<const double>);
template void add_gram(View<const float>, View<float>, float);
template void add_gram(View<const bfloat16>, View<float>, float);
template void add_cross(View<const float>, View<const float>, View<float>, float);
template void add_cross(View<const bfloat16>, View<const bfloat16>, View<float>, float);
template void add_cross_upper(View<const float>, View<const float>, View<float>, float);
template void add_cross_upper(View<const bfloat16>, View<const bfloat16>, View<float>, float);
template void mirror_upper(View<float>);
template void mirror_upper(View<double>);

}  // namespace constrictor::linalg
