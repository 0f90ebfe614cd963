// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is alive on a rank's device when, moment by moment; the counterpart of memory_model.hpp.
// Simpler than that: the pool (device::Context) gives freed pieces out again whatever their size,
// so that the fullest moment is the one where most is alive.
#include <string>
#include <vector>

#include "calib/shard.hpp"
#include "pipeline/job.hpp"
#include "pipeline/memory_model.hpp"

namespace constrictor::pipeline {

/// What is alive on the device at one moment of a run.
struct DeviceMoment {
  std::string name;
  std::vector<MemoryItem> items;  // rows of the table; equal words are added up

  void add(const std::string& what, double bytes);
  double bytes() const;
};

/// The moments of a run in order, each at its fullest over all blocks. `shard`: the calibration
/// sequences of the rank, in chunks of the device; `ranks`: how many there are.
std::vector<DeviceMoment> device_moments(const Job& job, const calib::Shard& shard, int ranks);
DeviceMoment fullest_device_moment(const Job& job, const calib::Shard& shard, int ranks);

/// MemoryError when `fullest` does not fit into what the device has left: how much is needed for
/// what, and which knob lowers it. `free`: bytes that may be allocated (device::MemoryUse::free).
void require_device_memory(const DeviceMoment& fullest, double free, const std::string& device);

}  // namespace constrictor::pipeline
