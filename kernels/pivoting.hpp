// SPDX-License-Identifier: Apache-2.0
#pragma once
// Minimum pivoting on the device, one pivot a launch (linalg/pivoted_order.hpp has the method).
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// Columns whose minimum one block finds.
inline constexpr Index pivot_block = 256;

/// The columns that are left, at the start of a panel of pivots. T = float or double.
template <class T>
struct PivotPanel {
  DeviceView<const T> A;            // [n x n] Schur complement, upper triangle
  DeviceView<T> L;                  // [panel x n] rows of the pivots
  DeviceView<double> diagonal;      // [1 x n] of the Schur complement; infinity once taken
  DeviceView<double> least;         // [2 x blocks] smallest diagonal of every block of columns
  DeviceView<std::int32_t> at;      // [2 x blocks] and where it stands
  DeviceView<double> pivots;        // [1 x panel] out: the pivots and
  DeviceView<std::int32_t> chosen;  // [1 x panel] out: their columns
};

/// The blocks' minima before the first pivot.
template <class T>
void find_least(const device::Stream& stream, const PivotPanel<T>& panel);
/// Pivot number k: takes the first of the smallest diagonal entries p, writes row k of L,
/// L_kj = (A_pj - sum_i L_ip L_ij) / sqrt(d_p) with i < k, and what is left of the diagonal.
template <class T>
void eliminate(const device::Stream& stream, const PivotPanel<T>& panel, Index k);

/// to(r, c) = from(kept[r], kept[c]) for c >= r; with `all_rows` to(r, c) = from(r, kept[c]).
template <class T>
void keep_columns(const device::Stream& stream, DeviceView<const T> from, const std::int32_t* kept,
                  bool all_rows, DeviceView<T> to);

}  // namespace constrictor::kernels
