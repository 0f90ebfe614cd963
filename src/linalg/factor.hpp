// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"

namespace constrictor::linalg {

/// Upper Cholesky factor of the inverse: H^-1 = U' U, U upper triangular with positive diagonal.
///
///   H  [n x n]  symmetric positive definite; only its upper triangle is read
///   U  [n x n]  out, zeros below the diagonal
///
/// With J the flip of rows and columns, J H J = L L' gives H = R R' for R = J L J upper, and U =
/// R^-1: one Cholesky and one triangular inverse, no explicit inverse of H. False (U unusable) when
/// a pivot is not positive, NaN included.
///
///   R  [n x n]  out, when not empty: the root itself, upper triangular, zeros below
template <class T>
[[nodiscard]] bool inverse_factor(View<const T> H, View<T> U, View<T> R = {});

/// The root alone: R upper triangular with H = R R', so that e H e' = |e R|^2. False as above.
template <class T>
[[nodiscard]] bool upper_root(View<const T> H, View<T> R);

/// A lower bound of the condition number of H from the diagonal of its factor: (max U_ii / min
/// U_ii)^2.
template <class T>
double condition_estimate(View<const T> U);

/// C = U' U for upper triangular U; symmetric, both triangles written.
template <class T>
Matrix<T> inverse_from_factor(View<const T> U);

/// P = triu(D U', 1) U: what drift adds to the columns that are still free (GPTAQ; README
/// "Notation").
///   D [n x n], U [n x n] upper -> P [n x n] strictly upper
template <class T>
Matrix<T> drift_propagator(View<const T> D, View<const T> U);

}  // namespace constrictor::linalg
