// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `constrictor bench` finds; pipeline/ fills it, io/ writes it.

#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix.hpp"
#include "core/timer.hpp"

namespace constrictor {

/// One phase of one block on all ranks together.
struct BenchPhase {
  std::string name;
  double seconds = 0;
  double operations = 0;  // floating-point, counted from shapes (schedule/operations.hpp)
  double bytes = 0;       // between host and device, and between ranks
  double peak = 0;        // operations per second of the products that this phase is made of
  double rate() const { return seconds > 0 ? operations / seconds : 0; }
};

struct BenchBlock {
  Index index = 0;
  bool drift = false;  // false in block 0 only: its inputs have not drifted yet
  std::vector<BenchPhase> phases;
  double seconds() const {
    double sum = 0;
    for (const BenchPhase& phase : phases) sum += phase.seconds;
    return sum;
  }
};

/// A whole model on so many ranks, predicted.
struct ScalingEstimate {
  int ranks = 1;
  SecondsByPhase seconds;  // statistics, reduce, factor, solve, advance, serial
  double total = 0;
  std::string limit;  // the longest phase
};

struct BenchReport {
  std::string shape, device, threads, products, reduction, library, version, started;
  std::string deck;  // resolved: how the blocks were quantized
  std::uint64_t seed = 0;
  Index sequences = 0, length = 0;
  Index model_blocks = 0;
  int ranks = 1;
  double float32_peak = 0, bfloat16_peak = 0;  // operations per second of all ranks' products
  std::int64_t host_peak_bytes = 0;            // of the rank that took most
  std::int64_t device_peak_bytes = 0;          // 0 without a device
  std::vector<BenchBlock> blocks;
  double write_seconds = 0;  // that the file of a block took, beside the next block
  double model_seconds = 0;  // extrapolated; 0 when only block 0 was measured
  double link = 0;           // bytes per second that `scaling` assumes
  std::vector<ScalingEstimate> scaling;
};

}  // namespace constrictor
