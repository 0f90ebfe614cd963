// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every walk over the blocks starts from.

#include <future>

#include "backend/backend.hpp"
#include "calib/hidden_states.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {

/// Reads the next block while this one is worked on.
class BlockReader {
 public:
  BlockReader(const comm::Communicator& ranks, const Job& job, backend::Backend& backend);
  /// Collective. The block `index`; reading of the next one begins.
  Block next(Index index, SecondsByPhase& seconds);

 private:
  void start(Index index);
  const comm::Communicator& ranks_;
  const Job& job_;
  backend::Backend& backend_;
  std::future<Block> pending_;
};

/// Collective: my calibration sequences as they enter block 0.
calib::HiddenStates embedded(const comm::Communicator& ranks, const Job& job,
                             backend::Backend& backend);

}  // namespace constrictor::pipeline
