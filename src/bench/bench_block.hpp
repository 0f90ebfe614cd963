// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <future>

#include "backend/backend.hpp"
#include "bench/bench_setup.hpp"
#include "calib/hidden_states.hpp"
#include "data/bench_report.hpp"
#include "io/block_file.hpp"

namespace constrictor::bench {

/// Writes the files of blocks as a run does, by rank 0 beside the work on the next block, but into
/// the folder for temporary files, and removes them.
class BesideWriter {
 public:
  explicit BesideWriter(const comm::Communicator& ranks) : ranks_(ranks) {}
  /// Collective: waits for the file before, then begins this one.
  void write(io::BlockRecord record);
  /// Collective.
  void finish();
  /// The most that a file took, on rank 0.
  double longest() const { return longest_; }

 private:
  const comm::Communicator& ranks_;
  std::future<double> writing_;
  double longest_ = 0;
};

/// Collective: makes block `index`, quantizes it and moves the hidden states on, as a run does.
/// Making the block is not counted. The phase "write" is the wait for the file of the block before;
/// "rest" the wall time that no other phase accounts for (dequantizing, the quantized weights' way
/// to a device).
BenchBlock measured_block(const BenchSetup& setup, backend::Backend& backend, const Demand& demand,
                          Index index, calib::HiddenStates& states, BesideWriter& writer);

}  // namespace constrictor::bench
