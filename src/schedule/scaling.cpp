// SPDX-License-Identifier: Apache-2.0
#include "schedule/scaling.hpp"

#include <algorithm>
#include <numeric>

#include "comm/lane_tree.hpp"

namespace constrictor::schedule {
namespace {

/// The busiest rank's part of all sequences.
double largest_share(const std::vector<Index>& lanes, int ranks) {
  const auto total = std::accumulate(lanes.begin(), lanes.end(), Index{0});
  Index most = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto mine = comm::lanes_of_rank(static_cast<Index>(lanes.size()), ranks, rank);
    most = std::max(
        most, std::accumulate(lanes.begin() + mine.first, lanes.begin() + mine.last, Index{0}));
  }
  return total > 0 ? static_cast<double>(most) / static_cast<double>(total) : 0;
}

/// The busiest rank's part of the cost of all tasks; all of it where tasks are unknown.
double largest_share(const std::vector<Task>& tasks, int ranks) {
  return tasks.empty() ? 1 : imbalance(tasks, assign(tasks, ranks), ranks) / ranks;
}

void add_block(const BlockOnOneRank& block, double times, const Cluster& cluster, int ranks,
               SecondsByPhase& seconds) {
  const double sequences = largest_share(cluster.lane_sequences, ranks);
  const Travel bytes = travelling_bytes(block, cluster.reduction,
                                        static_cast<Index>(cluster.lane_sequences.size()), ranks);
  double together = 0;
  const auto add = [&](const char* phase, double work, double travel) {
    seconds[phase] += times * (work + travel / cluster.link);
    together += work + travel / cluster.link;
  };
  add("statistics", block.statistics * sequences, 0);
  add("reduce", 0, bytes.reduce);
  add("factor", block.factor * largest_share(block.sides, ranks), bytes.factor);
  add("solve", block.solve * largest_share(block.rows, ranks), bytes.solve);
  add("advance", block.advance * sequences, 0);
  add("serial", block.serial, 0);
  if (block.beside > together) add("serial", block.beside - together, 0);
}

}  // namespace

Travel travelling_bytes(const BlockOnOneRank& block, Reduction reduction, Index lanes, int ranks) {
  const double others = static_cast<double>(ranks - 1) / ranks;
  const double levels =
      reduction == Reduction::exact ? comm::tree_height(std::min<Index>(ranks, lanes)) : 0;
  return {block.sums_bytes * (levels + 2 * others), block.sides_bytes * 2 * others,
          block.results_bytes * others};
}

ScalingEstimate on_ranks(const BlockOnOneRank& first, const BlockOnOneRank& later, Index others,
                         const Cluster& cluster, int ranks) {
  CONSTRICTOR_REQUIRE(ranks >= 1 && cluster.link > 0 && others >= 0, ranks, cluster.link, others);
  ScalingEstimate estimate;
  estimate.ranks = ranks;
  add_block(first, 1, cluster, ranks, estimate.seconds);
  add_block(later, static_cast<double>(others), cluster, ranks, estimate.seconds);
  double longest = -1;
  for (const auto& [phase, seconds] : estimate.seconds) {
    estimate.total += seconds;
    if (seconds <= longest) continue;
    longest = seconds;
    estimate.limit = phase;
  }
  return estimate;
}

std::vector<Index> sequences_of_lanes(Index sequences, Index lanes) {
  std::vector<Index> of_lane(static_cast<std::size_t>(lanes), 0);
  for (Index j = 0; j < sequences; ++j) ++of_lane[static_cast<std::size_t>(j * lanes / sequences)];
  return of_lane;
}

}  // namespace constrictor::schedule
