// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "device/device.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

struct QuantizeOptions {
  bool dry_run = false;         // print resolved deck and predictions, write nothing
  bool force = false;           // start although too little memory is predicted
  std::string from_statistics;  // run folder whose stored statistics replace model and tokens
                                // (from_statistics.hpp)
  device::Device device;
  std::string threads;  // description, for header and record
};

/// Collective: the whole job of `constrictor quantize`, from model folder to run folder and scores.
/// Throws Failure (agreed by all ranks where it may) with the exit code of the program.
void quantize_model(const comm::Communicator& ranks, const RunSpec& spec,
                    const QuantizeOptions& options, Screen& screen);

}  // namespace constrictor::pipeline
