// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/timer.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {

/// Operations per second (a multiply-add counts two) of one rank's float32 products, from one that
/// takes about a tenth of a second.
double measured_flops();

/// What the phases of a run will take on `ranks` ranks, each as fast as `flops`. Good to a factor
/// of two: the constants are those of the processors that the project was measured on.
SecondsByPhase predicted_seconds(const Job& job, double flops, int ranks);

}  // namespace constrictor::pipeline
