// SPDX-License-Identifier: Apache-2.0
#pragma once
// What more ranks would make of a run that was measured on one: the schedule itself (lanes, units,
// row tasks) with measured seconds, and a link for what has to travel. A prediction, not a
// measurement.

#include <vector>

#include "data/bench_report.hpp"
#include "data/specs.hpp"
#include "schedule/assign.hpp"

namespace constrictor::schedule {

/// One block on one rank.
struct BlockOnOneRank {
  double statistics = 0, factor = 0, solve = 0, advance = 0;  // seconds that ranks share
  double serial = 0;                                          // seconds that no rank can take over
  double beside = 0;              // seconds of writing while ranks work; a block takes no less
  double sums_bytes = 0;          // one set of sums
  double sides_bytes = 0;         // factored input sides; every rank gets all of them
  double results_bytes = 0;       // codes, scales, zeros; the same
  std::vector<Task> sides, rows;  // who factors and who solves what: costs of schedule/cost.hpp
};

struct Cluster {
  Reduction reduction = Reduction::exact;
  double link = 50e9;                 // bytes a second that a rank sends and receives
  std::vector<Index> lane_sequences;  // sequences of each lane
};

/// Bytes that the link of the busiest rank carries for one block; nothing on one rank.
///   reduce   exact: ceil(log2 min(ranks, lanes)) sets of sums up the tree, then one to everybody;
///            fast: one all-reduce. Either of the last two moves 2 (p - 1) / p of the bytes
///   factor   every side to everybody
///   solve    (p - 1) / p of the results to each
struct Travel {
  double reduce = 0, factor = 0, solve = 0;
};
Travel travelling_bytes(const BlockOnOneRank& block, Reduction reduction, Index lanes, int ranks);

/// `first` and then `others` blocks like `later`, on `ranks` ranks. The busiest rank counts:
///   statistics, advance   by the sequences in its lanes: nothing is gained beyond as many ranks as
///                         there are lanes
///   factor, solve         by `assign`, as in a run, and what has to travel after it
///   reduce                what has to travel
/// On one rank these are the seconds that went in.
ScalingEstimate on_ranks(const BlockOnOneRank& first, const BlockOnOneRank& later, Index others,
                         const Cluster& cluster, int ranks);

/// Sequences of each lane, j * lanes / sequences being the lane of sequence j.
std::vector<Index> sequences_of_lanes(Index sequences, Index lanes);

}  // namespace constrictor::schedule
