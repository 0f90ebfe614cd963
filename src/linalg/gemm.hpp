// SPDX-License-Identifier: Apache-2.0
#pragma once
// Matrix products. C is cut into tiles whose size does not depend on the number of threads and each
// tile is one single-threaded library call: the same bits on any number of threads.

#include "core/bfloat16.hpp"
#include "core/matrix.hpp"

namespace constrictor::linalg {

enum class Transpose { no, yes };

/// C <- alpha op(A) op(B) + beta C.   op(A) [m x k], op(B) [k x n], C [m x n]; T = float or double.
template <class T>
void gemm(Transpose op_a, Transpose op_b, T alpha, View<const T> A, View<const T> B, T beta,
          View<T> C);

/// C <- op(A) op(B) + beta C with bfloat16 factors and a float32 sum; beta = 0 or 1.
/// Without bfloat16 instructions (or oneDNN) the factors are widened: the same sums up to their
/// order.
void gemm(Transpose op_a, Transpose op_b, View<const bfloat16> A, View<const bfloat16> B,
          float beta, View<float> C);

/// A B, a new matrix.
template <class T>
Matrix<T> product(View<const T> A, View<const T> B);

/// S <- beta S + X' X, X [tokens x n]; only tiles on and above the diagonal are touched (see
/// `mirror_upper`). beta = 0 or 1; with 0 what S held is not read.
template <class T>
void add_gram(View<const T> X, View<float> S, float beta = 1);
/// S <- beta S + X' Y, all of it.
template <class T>
void add_cross(View<const T> X, View<const T> Y, View<float> S, float beta = 1);

/// S <- beta S + X' Y where that is symmetric; only tiles on and above the diagonal are touched.
template <class T>
void add_cross_upper(View<const T> X, View<const T> Y, View<float> S, float beta = 1);

/// Copies the upper triangle to the lower one.
template <class T>
void mirror_upper(View<T> S);

/// What multiplies here: "oneDNN 2.6.3 (avx512_core_bf16)" or "OpenBLAS (Haswell)".
std::string product_library();
/// True when bfloat16 products run on the processor's own instructions.
bool has_native_bfloat16();

}  // namespace constrictor::linalg
