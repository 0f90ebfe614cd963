// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "calib/hidden_states.hpp"
#include "data/bench_report.hpp"
#include "pipeline/backend.hpp"
#include "pipeline/bench_setup.hpp"

namespace constrictor::pipeline {

/// Collective: makes block `index`, quantizes it and moves the hidden states on, as a run does; the
/// file of a run is written to the folder for temporary files and removed. Making the block is not
/// counted. The last phase is "rest": the wall time that no other accounts for (dequantizing, the
/// quantized weights' way to a device).
BenchBlock measured_block(const BenchSetup& setup, Backend& backend, const Demand& demand,
                          Index index, calib::HiddenStates& states);

}  // namespace constrictor::pipeline
