// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "pipeline/quantize_model.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// Collective: `constrictor quantize --from-statistics RUN`. Quantizes every block of RUN that has
/// stored statistics (run.keep.statistics) with the options of `spec`, without model, tokens or
/// forward passes: solvers side by side on the same numbers. Writes a run folder of its own; there
/// is no evaluation.
void quantize_statistics(const comm::Communicator& ranks, const RunSpec& spec,
                         const QuantizeOptions& options, Screen& screen);

}  // namespace constrictor::pipeline
