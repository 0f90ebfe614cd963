// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "device/device.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

struct EvaluateOptions {
  std::string run_dir;  // a finished run: its quantized weights against the model; empty: the model
                        // as it is
  device::Device device;
  std::string threads;  // description, for header and record
};

/// Collective: perplexity and, for runs, KL and top-1 agreement with full precision, on every file
/// of spec.evaluation.tokens; printed, and stored in the run folder. Uses spec.model, .evaluation,
/// .run and, for runs, the deck that the run was made from.
void evaluate_model(const comm::Communicator& ranks, const RunSpec& spec,
                    const EvaluateOptions& options, Screen& screen);

}  // namespace constrictor::pipeline
