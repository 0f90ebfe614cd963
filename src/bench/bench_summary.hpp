// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the seconds of a few blocks say about the whole model, and how it is shown.

#include "data/bench_report.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::bench {

/// The block of median time among those after the first (the lower one of two in the middle);
/// nullptr when there is none.
const BenchBlock* typical_later_block(const std::vector<BenchBlock>& blocks);

/// Block 0, and the typical later block for all others; 0 when that was not measured.
double extrapolated_seconds(const std::vector<BenchBlock>& blocks, Index model_blocks);

/// One row a phase, for block 0 and the typical later one, each with its sum.
std::vector<pipeline::Screen::Row> phase_table(const BenchReport& report);
/// "whole model  32 blocks: 2.1 s + 31 x 4.0 s = 2 min 6 s, without ..."
std::string extrapolation_line(const BenchReport& report);
/// One row a number of ranks.
std::vector<pipeline::Screen::Row> scaling_table(const std::vector<ScalingEstimate>& scaling);

}  // namespace constrictor::bench
