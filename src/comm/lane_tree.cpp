// SPDX-License-Identifier: Apache-2.0
#include "comm/lane_tree.hpp"

#include <algorithm>

namespace constrictor::comm {

LaneRange lanes_of_rank(Index lanes, int ranks, int rank) {
  CONSTRICTOR_REQUIRE(lanes >= 1 && ranks >= 1 && rank >= 0 && rank < ranks, lanes, ranks, rank);
  const Index share = lanes / ranks, longer = lanes % ranks;
  const Index first = rank * share + std::min<Index>(rank, longer);
  return {first, first + share + (rank < longer ? 1 : 0)};
}

int rank_of_lane(Index lanes, int ranks, Index lane) {
  CONSTRICTOR_REQUIRE(lane >= 0 && lane < lanes, lane, lanes);
  const Index share = lanes / ranks, longer = lanes % ranks;
  const Index in_longer = longer * (share + 1);
  if (lane < in_longer) return static_cast<int>(lane / (share + 1));
  return static_cast<int>(longer + (lane - in_longer) / share);
}

int tree_height(Index lanes) {
  int height = 0;
  while ((Index{1} << height) < lanes) ++height;
  return height;
}

Index nodes_on_level(Index lanes, int level) {
  const Index width = Index{1} << level;
  return (lanes + width - 1) / width;
}

LaneNode passed_through(Index lanes, LaneNode node) {
  while (node.level < tree_height(lanes) && node.index % 2 == 0 &&
         node.index + 1 >= nodes_on_level(lanes, node.level))
    node = {node.level + 1, node.index / 2};
  return node;
}

Index most_sums_alive(Index lanes, LaneRange mine) {
  std::vector<LaneNode> stack;  // the same walk as LaneTree::push, without the sums
  std::size_t most = 1;         // every rank holds the total in the end
  for (Index lane = mine.first; lane < mine.last; ++lane) {
    most = std::max(most, stack.size() + 1);
    LaneNode node = passed_through(lanes, {0, lane});
    while (!stack.empty() && stack.back().level == node.level &&
           stack.back().index + 1 == node.index && node.index % 2 == 1) {
      stack.pop_back();
      node = passed_through(lanes, {node.level + 1, node.index / 2});
    }
    stack.push_back(node);
  }
  return static_cast<Index>(most);
}

}  // namespace constrictor::comm
