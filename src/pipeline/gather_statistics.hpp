// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "calib/hidden_states.hpp"
#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/block.hpp"
#include "data/block_sums.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"

namespace constrictor::pipeline {

/// Inputs of a block's layers for the first tokens of the calibration set (`run.keep.activations`):
/// those of all ranks on rank 0.
struct KeptInputs {
  Index tokens = 0;  // wanted
  std::map<Role, std::pair<Matrix<float>, Matrix<float>>>
      inputs;  // role -> quantized path, full path
};

struct GatherSettings {
  Products products = Products::float32;
  Reduction reduction = Reduction::exact;
  SumShape shape;
};

/// Collective: runs the block with its full-precision weights on x~ (and on x, once the two
/// differ), adds up its sums over all lanes, and moves `states.full` on to the block's output.
/// Every rank gets the sums. NumericalError names block, place and first sequence of a NaN or Inf;
/// Preempted when a stop was asked for.
BlockSums gather_statistics(const comm::Communicator& ranks, const ModelSpec& model,
                            const Block& block, const calib::Shard& shard,
                            const GatherSettings& settings, calib::HiddenStates& states,
                            SecondsByPhase& seconds, KeptInputs* kept = nullptr);

/// How far the block's output is from full precision, over all calibration tokens.
struct OutputError {
  double mean_squared = 0;
  double relative = 0;  // to the mean square of the full-precision output
  double cosine = 1;
};

/// Collective: moves `states.quant` through the quantized block and compares with `states.full`.
OutputError advance_quantized(const comm::Communicator& ranks, const ModelSpec& model,
                              const Block& block, const calib::Shard& shard, Products products,
                              calib::HiddenStates& states, SecondsByPhase& seconds);

/// Moves `states.full` through the block without statistics (a resumed run).
void advance_full(const ModelSpec& model, const Block& block, const calib::Shard& shard,
                  Products products, calib::HiddenStates& states);

}  // namespace constrictor::pipeline
