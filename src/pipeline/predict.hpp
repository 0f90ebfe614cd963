// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a run will need, before it starts.

#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "data/block_sums.hpp"
#include "pipeline/device_memory_model.hpp"
#include "pipeline/job.hpp"
#include "pipeline/memory_model.hpp"

namespace constrictor::pipeline {

struct Prediction {
  std::vector<MemoryItem> memory;  // of the rank that needs most, at the fullest moment
  std::string fullest;             // which moment that is
  double bytes_per_rank = 0;
  double bytes_per_node = 0;
  std::optional<DeviceMoment> device;  // with `run.device: cuda`, of the rank that needs most
  double disk_bytes = 0;
  double seconds = 0;  // from the machine's own product speed, measured in a tenth of a second
  double measured_gflops = 0;
};

/// All files of the run folder.
double disk_bytes(const Job& job);

/// Collective: ranks share nodes, so all of them must be asked.
Prediction predict(const comm::Communicator& ranks, const Job& job);

/// MemoryError when a node has less than predicted: how much is needed where, and which knob lowers
/// it.
void require_memory(const comm::Communicator& ranks, const Prediction& prediction);

}  // namespace constrictor::pipeline
