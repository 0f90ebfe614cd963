// SPDX-License-Identifier: Apache-2.0
// Sums over lanes: the same bits on any number of ranks, and those of the tree written down
// plainly.
#include <gtest/gtest.h>

#include <cmath>

#include "comm/lane_tree.hpp"

namespace constrictor::comm {
namespace {

/// Parts of all three types and of awkward lengths: longer than a message (8 MiB), short, empty.
struct TestSums {
  std::vector<float> many;
  std::vector<double> few;
  std::vector<float> none;
  std::vector<Index> counts;
  explicit TestSums(std::size_t length) : many(length), few(length / 3 + 1), counts(2) {}
  SumParts parts() {
    return {std::span<float>(many), std::span<double>(few), std::span<float>(none),
            std::span<Index>(counts)};
  }
  bool operator==(const TestSums&) const = default;
};

/// Numbers of very different size: another order of addition gives other bits.
double number(Index lane, Index i) {
  const auto hash = static_cast<std::uint64_t>(lane * 1000003 + i + 1) * 0x9E3779B97F4A7C15u;
  const double fraction = static_cast<double>(hash >> 11) / 9007199254740992.0;
  return (fraction - 0.5) * std::exp2(static_cast<double>(hash % 24));
}
void fill(TestSums& sums, Index lane) {
  for (std::size_t i = 0; i < sums.many.size(); ++i)
    sums.many[i] += static_cast<float>(number(lane, static_cast<Index>(i)));
  for (std::size_t i = 0; i < sums.few.size(); ++i)
    sums.few[i] += number(lane, static_cast<Index>(i) + 77);
  sums.counts[0] += 1;
  sums.counts[1] += lane;
}

/// The oracle: node (level, index) by recursion, as in the head of lane_tree.hpp.
TestSums node(Index lanes, int level, Index index, std::size_t length) {
  if (level == 0) {
    TestSums leaf(length);
    fill(leaf, index);
    return leaf;
  }
  TestSums left = node(lanes, level - 1, 2 * index, length);
  if ((2 * index + 1) << (level - 1) >= lanes) return left;
  TestSums right = node(lanes, level - 1, 2 * index + 1, length);
  for (std::size_t i = 0; i < left.many.size(); ++i) left.many[i] = left.many[i] + right.many[i];
  for (std::size_t i = 0; i < left.few.size(); ++i) left.few[i] = left.few[i] + right.few[i];
  for (std::size_t i = 0; i < 2; ++i) left.counts[i] += right.counts[i];
  return left;
}

LaneTree<TestSums> filled_tree(const Communicator& ranks, Index lanes, std::size_t length) {
  LaneTree<TestSums> tree(ranks, lanes, [length] { return TestSums(length); });
  for (Index lane = tree.mine().first; lane < tree.mine().last; ++lane) {
    TestSums sums = tree.zeros();
    fill(sums, lane);
    tree.push(std::move(sums));
  }
  return tree;
}

const std::vector<Index> lane_counts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 33};

TEST(LaneTree, GivesTheBitsOfTheTreeOnAnyNumberOfRanks) {
  const Communicator ranks = Communicator::world();
  for (Index lanes : lane_counts) {
    const TestSums expected = node(lanes, tree_height(lanes), 0, 501);
    const TestSums found = filled_tree(ranks, lanes, 501).finish_everywhere();
    EXPECT_EQ(found, expected) << lanes << " lanes";
    EXPECT_EQ(found.counts[0], lanes);
    EXPECT_EQ(found.counts[1], lanes * (lanes - 1) / 2);
  }
}

TEST(LaneTree, OrderMattersForTheseNumbers) {
  TestSums forward(501), backward(501);
  for (Index lane = 0; lane < 16; ++lane) fill(forward, lane);
  for (Index lane = 15; lane >= 0; --lane) fill(backward, lane);
  EXPECT_NE(forward.many, backward.many) << "otherwise the test above would prove nothing";
  EXPECT_NE(forward.many, node(16, 4, 0, 501).many);
}

TEST(LaneTree, DeliversToAnyRoot) {
  const Communicator ranks = Communicator::world();
  for (Index lanes : lane_counts)
    for (int root = 0; root < ranks.size(); ++root) {
      const std::optional<TestSums> found = filled_tree(ranks, lanes, 40).finish(root);
      EXPECT_EQ(found.has_value(), ranks.rank() == root);
      if (found) {
        EXPECT_EQ(*found, node(lanes, tree_height(lanes), 0, 40));
      }
    }
}

TEST(LaneTree, PartsLongerThanAMessage) {
  const Communicator ranks = Communicator::world();
  constexpr std::size_t length = (std::size_t{5} << 20) + 3;  // 20 MiB of float, 13 MiB of double
  const TestSums found = filled_tree(ranks, 5, length).finish_everywhere();
  EXPECT_EQ(found, node(5, tree_height(5), 0, length));
}

TEST(LaneTree, FinishWithoutAllLanesIsABug) {
  const Communicator alone;
  LaneTree<TestSums> tree(alone, 2, [] { return TestSums(1); });
  tree.push(tree.zeros());
  EXPECT_THROW(tree.finish(), Bug);
  tree.push(tree.zeros());
  EXPECT_THROW(tree.push(tree.zeros()), Bug);
}

TEST(FastSum, AddsAllPartsOnAllRanks) {
  const Communicator ranks = Communicator::world(1000);  // cut into pieces
  TestSums sums(3001);
  for (std::size_t i = 0; i < sums.many.size(); ++i)
    sums.many[i] = static_cast<float>(i % 100) + static_cast<float>(ranks.rank());
  sums.few[1] = 0.5;
  sums.counts[1] = ranks.rank();
  fast_sum(ranks, sums.parts());
  const int n = ranks.size();
  for (std::size_t i = 0; i < sums.many.size(); ++i)
    EXPECT_EQ(sums.many[i], static_cast<float>(n * static_cast<int>(i % 100) + n * (n - 1) / 2));
  EXPECT_EQ(sums.few[1], 0.5 * n);
  EXPECT_EQ(sums.counts[1], n * (n - 1) / 2);
}

}  // namespace
}  // namespace constrictor::comm
