// SPDX-License-Identifier: Apache-2.0
#include "schedule/scaling.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace constrictor::schedule {
namespace {

/// Seven sides and 320 equal rows; nothing travels.
BlockOnOneRank block() {
  BlockOnOneRank b;
  b.statistics = 8, b.factor = 1, b.solve = 4, b.advance = 2, b.serial = 0.5;
  for (Index i = 0; i < 7; ++i) b.sides.push_back({i, i == 0 ? 8. : 1.});
  for (Index i = 0; i < 320; ++i) b.rows.push_back({i, 1.});
  return b;
}

Cluster cluster(Index sequences = 128, Reduction reduction = Reduction::exact) {
  return {reduction, 1e9, sequences_of_lanes(sequences, 16)};
}

TEST(SequencesOfLanes, AddUpWhateverTheNumber) {
  EXPECT_EQ(sequences_of_lanes(4, 2), (std::vector<Index>{2, 2}));
  EXPECT_EQ(sequences_of_lanes(5, 3), (std::vector<Index>{2, 2, 1}));  // j * 3 / 5 = 0 0 1 1 2
  EXPECT_EQ(sequences_of_lanes(2, 4), (std::vector<Index>{1, 0, 1, 0}));
  for (const Index sequences : {1, 7, 16, 20, 128}) {
    const auto lanes = sequences_of_lanes(sequences, 16);
    EXPECT_EQ(std::accumulate(lanes.begin(), lanes.end(), Index{0}), sequences);
  }
}

TEST(Scaling, OneRankIsTheMeasurement) {
  BlockOnOneRank first = block(), later = block();
  first.sums_bytes = later.sums_bytes = later.sides_bytes = later.results_bytes = 1e9;
  later.statistics = 20;
  for (const auto reduction : {Reduction::exact, Reduction::fast}) {
    const auto one = on_ranks(first, later, 3, cluster(128, reduction), 1);
    EXPECT_DOUBLE_EQ(one.total, 15.5 + 3 * 27.5);
    EXPECT_DOUBLE_EQ(one.seconds.at("statistics"), 8 + 3 * 20);
    EXPECT_DOUBLE_EQ(one.seconds.at("reduce"), 0);
    EXPECT_EQ(one.limit, "statistics");
  }
}

TEST(Scaling, FourRanksByHand) {
  BlockOnOneRank b = block();
  b.sums_bytes = 1e9, b.sides_bytes = 2e9, b.results_bytes = 4e9;  // 1, 2, 4 seconds on the link
  const auto four = on_ranks(b, b, 0, cluster(), 4);
  EXPECT_DOUBLE_EQ(four.seconds.at("statistics"), 2);
  EXPECT_DOUBLE_EQ(four.seconds.at("advance"), 0.5);
  EXPECT_DOUBLE_EQ(four.seconds.at("reduce"), 2 + 1.5);            // two levels up, 2 * 3 / 4 back
  EXPECT_DOUBLE_EQ(four.seconds.at("factor"), 8. / 14 + 2 * 1.5);  // the largest side alone
  EXPECT_DOUBLE_EQ(four.seconds.at("solve"), 1 + 4 * 0.75);
  EXPECT_DOUBLE_EQ(four.seconds.at("serial"), 0.5);
  EXPECT_DOUBLE_EQ(four.total, 2 + 0.5 + 3.5 + 8. / 14 + 3 + 4 + 0.5);
  const auto fast = on_ranks(b, b, 0, cluster(128, Reduction::fast), 4);
  EXPECT_DOUBLE_EQ(fast.seconds.at("reduce"), 1.5);
}

TEST(Scaling, LanesBoundTheStatistics) {
  const auto seconds = [&](Index sequences, int ranks) {
    return on_ranks(block(), block(), 0, cluster(sequences), ranks).seconds.at("statistics");
  };
  EXPECT_DOUBLE_EQ(seconds(128, 16), 0.5);
  EXPECT_DOUBLE_EQ(seconds(128, 64), 0.5);
  EXPECT_DOUBLE_EQ(seconds(4, 16), 2);  // 4 sequences: each is a quarter
  EXPECT_DOUBLE_EQ(seconds(4, 4), 2);
  EXPECT_DOUBLE_EQ(seconds(1, 8), 8);
  EXPECT_DOUBLE_EQ(seconds(20, 16), 8 * 2. / 20);  // some lanes hold two
}

TEST(Scaling, MoreRanksNeverHurtOnAFastLink) {
  BlockOnOneRank b = block();
  double before = on_ranks(b, b, 31, cluster(), 1).total;
  for (const int ranks : {2, 4, 8, 16, 32, 64}) {
    const auto now = on_ranks(b, b, 31, cluster(), ranks);
    EXPECT_LE(now.total, before) << ranks;
    EXPECT_GE(now.total, 32 * b.serial) << ranks;
    before = now.total;
  }
}

TEST(Scaling, TheLimitIsThePhaseThatTakesLongest) {
  BlockOnOneRank b = block();
  EXPECT_EQ(on_ranks(b, b, 1, cluster(), 64).limit, "factor");  // 8/14 s against 0.5 s
  b.sums_bytes = 1e10;
  EXPECT_EQ(on_ranks(b, b, 1, cluster(), 64).limit, "reduce");
}

TEST(Scaling, ABlockTakesNoLessThanTheWritingOfItsFile) {
  BlockOnOneRank b = block();
  b.beside = 3;
  EXPECT_DOUBLE_EQ(on_ranks(b, b, 0, cluster(), 1).total, 15.5);
  EXPECT_DOUBLE_EQ(on_ranks(b, b, 4, cluster(), 64).total, 5 * 3);
  EXPECT_EQ(on_ranks(b, b, 4, cluster(), 64).limit, "serial");
}

TEST(Scaling, AsksForSense) {
  EXPECT_THROW(on_ranks(block(), block(), 0, cluster(), 0), Bug);
  Cluster broken = cluster();
  broken.link = 0;
  EXPECT_THROW(on_ranks(block(), block(), 0, broken, 2), Bug);
}

}  // namespace
}  // namespace constrictor::schedule
