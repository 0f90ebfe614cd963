// SPDX-License-Identifier: Apache-2.0
// The shape of the lane tree and the dealing of lanes; no MPI.
#include "comm/lane_tree.hpp"

#include <gtest/gtest.h>

namespace constrictor::comm {
namespace {

TEST(Lanes, AreDealtInContiguousRunsWithoutGap) {
  for (Index lanes : {1, 2, 5, 7, 16, 33, 1024})
    for (int ranks : {1, 2, 3, 4, 7, 8, 40}) {
      Index next = 0, shortest = lanes, longest = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const LaneRange range = lanes_of_rank(lanes, ranks, rank);
        EXPECT_EQ(range.first, next);
        next = range.last;
        shortest = std::min(shortest, range.size());
        longest = std::max(longest, range.size());
        for (Index lane = range.first; lane < range.last; ++lane)
          EXPECT_EQ(rank_of_lane(lanes, ranks, lane), rank);
      }
      EXPECT_EQ(next, lanes);
      EXPECT_LE(longest - shortest, 1);
      EXPECT_GT(lanes_of_rank(lanes, ranks, 0).size(), 0);
    }
}

TEST(Lanes, ByHand) {
  EXPECT_EQ(lanes_of_rank(5, 2, 0), (LaneRange{0, 3}));
  EXPECT_EQ(lanes_of_rank(5, 2, 1), (LaneRange{3, 5}));
  EXPECT_EQ(lanes_of_rank(2, 3, 2), (LaneRange{2, 2}));
  EXPECT_THROW(lanes_of_rank(0, 1, 0), Bug);
  EXPECT_THROW(lanes_of_rank(4, 2, 2), Bug);
}

TEST(LaneTreeShape, HeightAndNodes) {
  EXPECT_EQ(tree_height(1), 0);
  EXPECT_EQ(tree_height(2), 1);
  EXPECT_EQ(tree_height(5), 3);
  EXPECT_EQ(tree_height(16), 4);
  EXPECT_EQ(tree_height(17), 5);
  EXPECT_EQ(nodes_on_level(5, 0), 5);
  EXPECT_EQ(nodes_on_level(5, 1), 3);
  EXPECT_EQ(nodes_on_level(5, 3), 1);
  EXPECT_EQ(passed_through(5, {0, 4}), (LaneNode{2, 1})) << "lane 4 of 5 has no sibling twice";
  EXPECT_EQ(passed_through(5, {0, 3}), (LaneNode{0, 3}));
  EXPECT_EQ(passed_through(1, {0, 0}), (LaneNode{0, 0}));
}

TEST(LaneTreeShape, FewSumsAreAlive) {
  EXPECT_EQ(most_sums_alive(16, {0, 16}), 5);  // 8 + 4 + 2 + 1 lanes wait while lane 15 is in work
  EXPECT_EQ(most_sums_alive(1, {0, 1}), 1);
  EXPECT_EQ(most_sums_alive(16, {4, 4}), 1);  // no lanes: the total still arrives
  EXPECT_EQ(most_sums_alive(16, {1, 4}), 3);  // 1 and 2 wait while 3 is in work
  EXPECT_EQ(most_sums_alive(1024, {0, 1024}), 11);
}

}  // namespace
}  // namespace constrictor::comm
