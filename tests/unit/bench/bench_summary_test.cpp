// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_summary.hpp"

#include <gtest/gtest.h>

namespace constrictor::bench {
namespace {

BenchBlock block(Index index, double seconds) {
  return {index,
          index > 0,
          {{"statistics", 0.75 * seconds, 1e12, 0, 2e12}, {"solve", 0.25 * seconds, 0, 0, 0}}};
}

TEST(BenchSummary, TheTypicalLaterBlockIsTheMedian) {
  EXPECT_EQ(typical_later_block({}), nullptr);
  EXPECT_EQ(typical_later_block({block(0, 1)}), nullptr);
  const std::vector<BenchBlock> three{block(0, 9), block(1, 5), block(2, 1), block(3, 2)};
  EXPECT_EQ(typical_later_block(three)->index, 3);
  const std::vector<BenchBlock> two{block(0, 9), block(1, 5), block(2, 1)};
  EXPECT_EQ(typical_later_block(two)->index, 2);
}

TEST(BenchSummary, ExtrapolationByHand) {
  EXPECT_DOUBLE_EQ(extrapolated_seconds({block(0, 3), block(1, 8), block(2, 4), block(3, 5)}, 32),
                   3 + 31 * 5);
  EXPECT_EQ(extrapolated_seconds({block(0, 3)}, 32), 0);  // unknown
  EXPECT_EQ(extrapolated_seconds({block(0, 3)}, 1), 3);
}

TEST(BenchSummary, TableByHand) {
  BenchReport report;
  report.products = "bfloat16";
  report.bfloat16_peak = 2e12;
  report.blocks = {block(0, 1), block(1, 2)};
  report.blocks[1].phases[0].bytes = 3e9;
  const auto rows = phase_table(report);
  ASSERT_EQ(rows.size(), 7u);
  EXPECT_EQ(rows[1],
            (pipeline::Screen::Row{"first", "statistics", "0.750", "1", "1.33", "66.7", "0", "-"}));
  EXPECT_EQ(rows[2], (pipeline::Screen::Row{"first", "solve", "0.250", "0", "-", "-", "0", "-"}));
  EXPECT_EQ(rows[3],
            (pipeline::Screen::Row{"first", "together", "1.000", "1", "1", "50.0", "0", "-"}));
  EXPECT_EQ(rows[4], (pipeline::Screen::Row{"later", "statistics", "1.500", "1", "0.667", "33.3",
                                            "3", "2"}));
}

TEST(BenchSummary, SpeedUpIsAgainstOneRank) {
  const auto rows =
      scaling_table({{1, {{"solve", 8.}}, 8, "solve"}, {4, {{"solve", 4.}}, 4, "solve"}});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[2], (pipeline::Screen::Row{"4", "4.00", "2.00", "50", "-", "-", "-", "4.00", "-",
                                            "-", "solve"}));
}

}  // namespace
}  // namespace constrictor::bench
