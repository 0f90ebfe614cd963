// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "device/device.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

struct EvaluateOptions {
  std::string run_dir;  // a finished run: its quantized weights against the model; empty: the model
                        // as it is
  std::vector<std::string> requests;  // request files
  std::string out;                    // of their answers when there is no run
  Index rank_tokens = 0;              // of requests that a rank holds at a time; 0: the default
  device::Device device;
  std::string threads;  // description, for header and record
};

/// Collective: perplexity and, for runs, KL and top-1 agreement with full precision, on every file
/// of spec.evaluation.tokens, and the accuracies of request files; printed, and stored in the run
/// folder. Uses spec.model, .evaluation,
/// .run and, for runs, the deck that the run was made from.
void evaluate_model(const comm::Communicator& ranks, const RunSpec& spec,
                    const EvaluateOptions& options, Screen& screen);

}  // namespace constrictor::pipeline
