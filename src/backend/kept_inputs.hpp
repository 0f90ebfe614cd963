// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <utility>
#include <vector>

#include "comm/communicator.hpp"
#include "data/block.hpp"
#include "data/block_trace.hpp"

namespace constrictor::backend {

/// Inputs of a block's layers for the first tokens of the calibration set (`run.keep.activations`):
/// those of all ranks on rank 0.
struct KeptInputs {
  Index tokens = 0;         // wanted
  std::vector<Role> roles;  // of the layers whose inputs are
  std::map<Role, std::pair<Matrix<float>, Matrix<float>>>
      inputs;  // role -> quantized path, full path

  bool wants(Index first_token) const { return first_token < tokens; }
  /// Appends what a chunk saw that begins at `first_token`.
  void append(const BlockTrace& quant, const BlockTrace& full, Index first_token);
  /// Collective: what the ranks kept, one below the other, on rank 0. Ranks hold their sequences in
  /// order.
  void collect(const comm::Communicator& ranks, const Block& block);
};

}  // namespace constrictor::backend
