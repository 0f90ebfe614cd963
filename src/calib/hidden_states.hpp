// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "calib/shard.hpp"

namespace constrictor::calib {

/// The residual stream of my sequences between two blocks, in the full-precision model (x) and
/// behind the blocks that are quantized already (x~).
struct HiddenStates {
  Matrix<float> full;   // [my sequences * length x hidden]
  Matrix<float> quant;  // the same
  bool equal = true;    // until the first quantized block; spares one of two forward passes

  HiddenStates(const Shard& shard, Matrix<float> embedded)
      : full(std::move(embedded)), quant(full), shard_(shard) {}

  const Shard& shard() const { return shard_; }

  /// A chunk's part of `full` or `quant`.
  View<float> rows(Matrix<float>& states, const Chunk& chunk) const {
    const Piece rows = rows_of(shard_, chunk);
    return states.view().rows_from(rows.first, rows.size());
  }

 private:
  Shard shard_;
};

}  // namespace constrictor::calib
