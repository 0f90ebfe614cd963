// SPDX-License-Identifier: Apache-2.0
#pragma once
// The runs of a sweep with ids and predictions: what `plan`, `sweep`, `status` and `retry` start
// from.

#include <map>
#include <string>
#include <vector>

#include "data/sweep.hpp"
#include "io/run_log.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::campaign {

/// Ids and folders of all runs, and with `ranks` > 0 what each needs on so many ranks of this
/// machine. Every model and token file is opened once, however many runs share it. UserError when a
/// run does not fit its model, and when two runs have the same id: they would be one.
Sweep plan_sweep(const std::string& deck, int ranks);

/// How far predictions were off: measured / predicted of the finished runs of a sweep.
struct Ratios {
  std::vector<double> values;
  double median() const;     // 1 without values
  std::string text() const;  // "0.83 (0.71 to 1.10)"
};
struct Calibration {
  std::map<Method, Ratios> seconds_of;  // methods have their own errors
  Ratios seconds, memory, disk;
};

/// Compares `states` ([runs], of any state) with the predictions for `ranks` ranks.
Calibration calibrate(const Sweep& sweep, const std::vector<io::RunState>& states, int ranks);
/// Multiplies the predictions by what the finished runs have shown.
void apply(const Calibration& calibration, Sweep& sweep);

/// "method gptq, bits 2"
std::string run_label(const Sweep& sweep, const SweepRun& run);

/// `constrictor plan`: a table of all runs, and totals; starts nothing.
void show_plan(const std::string& deck, int ranks, pipeline::Screen& screen);
/// The same for programs: io/sweep_text.hpp.
std::string plan_text(const std::string& deck, int ranks);

}  // namespace constrictor::campaign
