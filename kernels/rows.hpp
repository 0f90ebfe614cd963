// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/parallel.hpp"

namespace constrictor::kernels {

/// fn(row) for every row, 32 rows a piece: for kernels whose rows do not depend on each other.
template <class Function>
void for_rows(Index rows, Function&& fn) {
  constexpr Index rows_in_piece = 32;
  if (rows <= rows_in_piece) {  // not worth waking the threads
    for (Index row = 0; row < rows; ++row) fn(row);
    return;
  }
  parallel_for(pieces(rows, rows_in_piece), [&](Index i) {
    const Piece mine = piece(rows, rows_in_piece, i);
    for (Index row = mine.first; row < mine.last; ++row) fn(row);
  });
}

}  // namespace constrictor::kernels
