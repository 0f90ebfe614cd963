// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one block asks for, counted from shapes: operations and bytes by phase, and what
// schedule/scaling.hpp needs to know.

#include "backend/row_tasks.hpp"
#include "calib/shard.hpp"
#include "schedule/scaling.hpp"

namespace constrictor::bench {

/// One number for each phase of a block.
struct PhaseNumbers {
  double statistics = 0, factor = 0, solve = 0, advance = 0, rest = 0;
};

/// Floating-point operations over all ranks (schedule/operations.hpp). `shape`: of the block's
/// sums; `paths`: forward passes in the statistics, 1 in block 0 and 2 later.
PhaseNumbers operations_of(const ModelSpec& model, const backend::LayerInputs& inputs,
                           const SumShape& shape, const calib::Shard& shard, int paths);

/// Bytes that travel between the host and the device of one rank:
///   statistics   x~ (and x) in, x out, float32; the weights have come before
///   solve        weights in (float32), codes out
///   advance      x~ in and out, x in to compare
///   rest         quantized weights in
PhaseNumbers device_bytes_of(const backend::LayerInputs& inputs, Index hidden,
                             const calib::Shard& shard, int paths, Products products);

/// Tasks and bytes of one block; seconds are left at 0.
schedule::BlockOnOneRank shares_of(const backend::LayerInputs& inputs, const SumShape& shape,
                                   const backend::TaskCut& cut);

/// Bytes that a rank holds at its fullest moment, at least: residual streams, weights, and sums
/// (those of the lane tree, or one set and the factored sides).
double least_bytes(const backend::LayerInputs& inputs, const SumShape& shape,
                   const schedule::BlockOnOneRank& block, const calib::Shard& shard,
                   Reduction reduction);

}  // namespace constrictor::bench
