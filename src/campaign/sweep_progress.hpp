// SPDX-License-Identifier: Apache-2.0
#pragma once
// How far the runs of a sweep are, from state.json files and claims alone: no HDF5 is opened, so
// that thousands of runs are seen in a second.

#include <optional>
#include <string>
#include <vector>

#include "data/sweep.hpp"
#include "io/claim.hpp"
#include "io/run_log.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::campaign {

enum class Progress { done, running, waiting, failed };

struct RunProgress {
  Progress progress = Progress::waiting;
  io::RunState state;  // as the file says; empty without one
  std::string holder;  // running: who
  std::string words;   // failed: why; waiting: what there is to say, often nothing
};

std::string claims_folder(const Sweep& sweep);

/// What state.json says alone. An empty or half file (a stale cache of a network file system) says
/// nothing; a file of another schema is a failure of that run.
RunProgress stored_progress(const SweepRun& run);

/// All runs, claims taken into account: a run whose holder is dead waits.
std::vector<RunProgress> progress_of(const Sweep& sweep, io::ClaimTiming timing = {});

struct StatusOptions {
  bool all = false;    // one row for every run, not only for those that run or failed
  bool watch = false;  // again every few seconds, until nothing runs or waits
};
/// `constrictor status`.
void show_status(const std::string& deck, const StatusOptions& options, pipeline::Screen& screen);

/// `constrictor retry --failed`: failed runs wait again.
void retry_failed(const std::string& deck, pipeline::Screen& screen);

}  // namespace constrictor::campaign
