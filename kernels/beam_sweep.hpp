// SPDX-License-Identifier: Apache-2.0
#pragma once
// The K-best sweep inside one panel of columns: each row keeps its cheapest prefixes (choices of
// codes for the columns so far) instead of one.
//
// Column by column, every prefix k of a row with its own running weights w proposes two codes: the
// nearest one, as column_sweep has it, and the nearest one of the others (towards w, or away from
// the edge of the grid). With q the value of a code, its error is e = (w_c - q) / U_cc, and
//
//   cost of the candidate = cost_k + e^2,    its running weights w_j = w_kj - e U_cj for j > c.
//
// The K cheapest candidates survive, sorted by cost. Of equal costs the lower candidate number goes
// first: the nearest codes of prefixes 0, 1, ..., then their second codes in the same order. With
// K = 1 that is column_sweep without P.
#include "kernels/column_sweep.hpp"

namespace constrictor::kernels {

inline constexpr Index most_prefixes = 64;

/// Prefixes that a row has after `columns` columns: 1, 2, 4, ... until there are `kept`.
constexpr Index prefixes_after(Index columns, Index kept) {
  Index count = 1;
  for (Index c = 0; c < columns && count < kept; ++c) count *= 2;
  return count < kept ? count : kept;
}

/// What leaves the panel: `after` prefixes of every row, one below the other.
template <class T, Space space = Space::host>
struct BeamResult {
  View<T, space> cost;              // [rows x kept] in and out; the least of a row out is 0
  View<T, space> errors;            // [rows after x n] e_c of each survivor
  View<std::uint8_t, space> codes;  // [rows after x n]
  View<std::uint8_t, space> root;   // [rows x after] which prefix that came in it continues
};

/// One panel on the CPU, row by row.
///   W       [rows before x n]  running weights of the prefixes that come in; left as they are
///   before                     prefixes of a row that come in
///   U       [n x n]            upper triangular, H^-1 = U' U
///   kept                       K <= most_prefixes; after = prefixes_after(n, K) where before = 1,
///                              else K (before = K then)
template <class T>
void beam_sweep(View<const T> W, Index before, View<const T> U, const PanelGrid<T>& grid,
                Index kept, const BeamResult<T>& result);

/// The same on the device, a block of threads a row: the prefixes' weights of the panel in shared
/// memory.
void beam_sweep(const device::Stream& stream, DeviceView<const float> W, Index before,
                DeviceView<const float> U, const DevicePanelGrid& grid, Index kept,
                const BeamResult<float, Space::device>& result);

/// Survivors take over the columns behind the panel: to(r after + k, c) = from(r before + root(r,
/// k), c) for all rows r and columns c of `to`.
///   from [rows before x n], root [rows x after], to [rows after x n]
void take_survivors(const device::Stream& stream, DeviceView<const float> from, Index before,
                    DeviceView<const std::uint8_t> root, DeviceView<float> to);

/// The codes of each row's cheapest prefix, number 0 behind the last panel, back through the roots.
///   swept [rows after x in] as the panels left them, roots [panels rows x after], codes [rows x
///   in]
void cheapest_codes(const device::Stream& stream, DeviceView<const std::uint8_t> swept,
                    DeviceView<const std::uint8_t> roots, DeviceView<std::uint8_t> codes);

}  // namespace constrictor::kernels
