// SPDX-License-Identifier: Apache-2.0
#include "schedule/assign.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "schedule/cost.hpp"

namespace constrictor::schedule {
namespace {

TEST(Assign, LongestFirstToTheLeastLoaded) {
  // By hand: 7 -> 0, 5 -> 1, 4 -> 2, 3 -> 2 (4), 3 -> 1 (5), 2 -> 0 (7).
  const std::vector<Task> tasks = {{0, 3}, {1, 7}, {2, 2}, {3, 5}, {4, 4}, {5, 3}};
  EXPECT_EQ(assign(tasks, 3), (std::vector<int>{2, 0, 0, 1, 2, 1}));
}

TEST(Assign, TiesGoToLowerIdsAndRanks) {
  const std::vector<Task> tasks = {{3, 1}, {2, 1}, {1, 1}, {0, 1}};
  EXPECT_EQ(assign(tasks, 4), (std::vector<int>{3, 2, 1, 0}));
}

TEST(Assign, DoesNotDependOnTheOrderOfTasks) {
  std::vector<Task> tasks;
  for (Index i = 0; i < 57; ++i) tasks.push_back({i, static_cast<double>((i * 37) % 11)});
  const std::vector<int> forward = assign(tasks, 5);
  std::vector<Task> reversed(tasks.rbegin(), tasks.rend());
  std::vector<int> backward = assign(reversed, 5);
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
}

TEST(Assign, DegenerateSizes) {
  EXPECT_TRUE(assign({}, 3).empty());
  EXPECT_EQ(assign({{0, 1}}, 4), (std::vector<int>{0}));
  EXPECT_EQ(assign({{0, 0}, {1, 0}}, 1), (std::vector<int>{0, 0}));
  EXPECT_THROW(assign({{0, 1}}, 0), Bug);
}

TEST(Assign, KeepsAllRanksBusy) {
  std::vector<Task> tasks;
  for (Index i = 0; i < 64; ++i) tasks.push_back({i, 100.0 + static_cast<double>(i % 7)});
  for (int ranks : {1, 2, 3, 4, 7, 8}) {
    const auto rank_of = assign(tasks, ranks);
    EXPECT_LT(imbalance(tasks, rank_of, ranks), 1.1) << ranks;
    EXPECT_EQ(*std::max_element(rank_of.begin(), rank_of.end()), ranks - 1);
  }
}

TEST(Imbalance, ByHand) {
  const std::vector<Task> tasks = {{0, 3}, {1, 1}};
  EXPECT_EQ(imbalance(tasks, {0, 1}, 2), 1.5);
  EXPECT_EQ(imbalance(tasks, {0, 0}, 2), 2.0);
  EXPECT_EQ(imbalance({}, {}, 2), 1.0);
}

TEST(Cost, GrowsWithTheWork) {
  QuantSpec rounding, full;
  rounding.method = Method::rtn;
  rounding.grid = GridSearch::minmax;
  rounding.drift = Drift::none;
  rounding.refine_passes = 0;
  EXPECT_EQ(factor_cost(10, Order::descending), 1000);
  EXPECT_DOUBLE_EQ(factor_cost(30, Order::pivoted), 36000);
  EXPECT_LT(rows_cost(rounding, 64, 256), rows_cost(full, 64, 256));
  EXPECT_EQ(rows_cost(full, 128, 256), 2 * rows_cost(full, 64, 256));
  EXPECT_GT(rows_cost(full, 64, 512), 2 * rows_cost(full, 64, 256));
  EXPECT_EQ(rows_cost(full, 0, 512), 0);
}

}  // namespace
}  // namespace constrictor::schedule
