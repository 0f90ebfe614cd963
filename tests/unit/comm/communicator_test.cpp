// SPDX-License-Identifier: Apache-2.0
// A communicator of one rank works without MPI.
#include "comm/communicator.hpp"

#include <gtest/gtest.h>

#include "comm/agree.hpp"
#include "comm/sum_parts.hpp"

namespace constrictor::comm {
namespace {

TEST(Alone, CollectivesNeedNoMpi) {
  const Communicator alone;
  EXPECT_EQ(alone.rank(), 0);
  EXPECT_EQ(alone.size(), 1);
  EXPECT_EQ(alone.node_size(), 1);
  EXPECT_EQ(alone.hosts().size(), 1u);
  alone.barrier();
  std::string text = "words";
  alone.broadcast(text);
  EXPECT_EQ(text, "words");
  EXPECT_EQ(alone.sum(2.5), 2.5);
  EXPECT_EQ(alone.max(Index{3}), 3);
  EXPECT_TRUE(alone.any(true));
  EXPECT_FALSE(alone.any(false));
  const std::vector<Index> values = {1, 2};
  const auto all = alone.all_gather(bytes_of(std::span<const Index>(values)));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(values_of<Index>(all[0]), values);
  EXPECT_EQ(alone.gather(bytes_of(std::span<const Index>(values))).size(), 1u);
  EXPECT_THROW(agree(alone, [] { throw UserError("x"); }), UserError);
}

TEST(Alone, BytesThatAreNoWholeValuesAreABug) {
  const Bytes three(3);
  EXPECT_THROW(values_of<float>(three), Bug);
  EXPECT_TRUE(values_of<float>(Bytes{}).empty());
}

TEST(SumParts, AddAndZero) {
  std::vector<float> a(200000, 1.5f), b(200000, 2.25f);
  std::vector<Index> m = {7}, n = {8};
  const SumParts into = {std::span<float>(a), std::span<Index>(m)};
  const SumParts from = {std::span<float>(b), std::span<Index>(n)};
  add(into, from);
  for (float value : a) ASSERT_EQ(value, 3.75f);
  EXPECT_EQ(m[0], 15);
  EXPECT_EQ(bytes_of_parts(into), 800008);
  set_zero(into);
  for (float value : a) ASSERT_EQ(value, 0.0f);
  EXPECT_EQ(m[0], 0);
  EXPECT_EQ(b[199999], 2.25f);
}

TEST(SumParts, OfDifferentShapeAreABug) {
  std::vector<float> a(3), b(4);
  std::vector<Index> c(2);
  EXPECT_THROW(add({std::span<float>(a)}, {std::span<float>(b)}), Bug);
  EXPECT_THROW(add({std::span<float>(b)}, {std::span<Index>(c)}), Bug);
  EXPECT_THROW(add({std::span<float>(a)}, {}), Bug);
}

}  // namespace
}  // namespace constrictor::comm
