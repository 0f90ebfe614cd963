// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::linalg {

/// Pivots between two products with the rest of the matrix.
inline constexpr Index pivoting_panel = 128;

/// Cholesky factorization of H with minimum pivoting, for its order only: from the last position
/// backwards, each time the remaining column with the smallest diagonal of the Schur complement;
/// of equal ones that of the lowest number. So the column of every position p has the smallest
/// R_pp^2 = 1 / U_pp^2 of the columns 0 .. p of the order: columns that could do harm come first.
///
///   H      [n x n]  symmetric; only its upper triangle is read
///   order  [n]      out: position -> column
///
/// n^3 / 6 multiply-adds, nearly all in products of panels of `pivoting_panel` pivots; the diagonal
/// is kept in float64. False (order unusable) when a pivot is not positive, NaN included.
template <class T>
[[nodiscard]] bool pivoted_order(View<const T> H, std::vector<std::int32_t>& order);

}  // namespace constrictor::linalg
