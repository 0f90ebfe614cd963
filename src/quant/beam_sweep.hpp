// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "quant/grid.hpp"

namespace constrictor::quant {

/// The K-best sweep (kernels/beam_sweep.hpp has the rules) of rows that stand in sweep order.
///   W      [rows x in]  weights to aim at
///   U      [in x in]    factor of H_in, no drift
///   group  [in]         group of each column
///   kept                K prefixes of a row, 1 .. kernels::most_prefixes
/// Returns the codes of the cheapest prefix of each row, in sweep order. Rows x prefixes are one
/// batch; a few rows at a time, so that the memory does not grow with K. Survivors take their
/// trailing weights along once per panel, then one product spreads the panel's errors.
template <class T>
Matrix<std::uint8_t> beam_sweep(View<const T> W, View<const T> U, const Grid<T>& grid,
                                const std::vector<std::int32_t>& group, Index kept);

/// Rows x prefixes of one batch.
inline constexpr Index beam_batch = 256;

/// Bytes of a batch in float32: two matrices of running weights, one of codes.
constexpr Index beam_bytes(Index in) { return (2 * 4 + 1) * beam_batch * in; }

/// The same on a device: enough for its products, and a bound of its memory; with the errors of a
/// panel.
inline constexpr Index device_beam_batch = 8192;
constexpr Index device_beam_bytes(Index in) { return device_beam_batch * ((2 * 4 + 1) * in + 512); }

}  // namespace constrictor::quant
