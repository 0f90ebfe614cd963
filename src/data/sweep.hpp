// SPDX-License-Identifier: Apache-2.0
#pragma once
// A sweep: many runs that fill one table. config/ makes it from a sweep deck, the pipeline adds
// what it finds out about each run.

#include <string>
#include <vector>

#include "data/specs.hpp"

namespace constrictor {

/// What a table does with the values of an axis: a row or column each, or one cell for all of them,
/// which shows the best run or the mean over runs.
enum class CellReduction { none, best, mean };

struct SweepAxis {
  std::string label;
  std::vector<std::string> keys;    // of the deck; several move together
  std::vector<std::string> values;  // their names in tables, each once
  CellReduction cell = CellReduction::none;
};

/// What a run will need. `seconds` and bytes are those of one machine with `ranks` ranks.
struct SweepPrediction {
  double seconds = 0;
  double bytes_per_rank = 0;
  double disk_bytes = 0;
};

struct SweepRun {
  std::vector<std::string> names;  // [axes] the value that this run has
  RunSpec spec;
  std::string run_id;
  std::string folder;
  SweepPrediction predicted;
};

struct Sweep {
  std::string deck;  // path of the sweep deck
  std::string out;   // all runs lie in <out>/<run id>
  std::vector<SweepAxis> axes;
  std::vector<SweepRun> runs;  // in the order of work
};

}  // namespace constrictor
