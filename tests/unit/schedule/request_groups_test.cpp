// SPDX-License-Identifier: Apache-2.0
#include "schedule/request_groups.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace constrictor::schedule {
namespace {

/// Requests with these tokens; the last of each is the continuation.
Requests requests_of(const std::vector<std::vector<std::int32_t>>& all) {
  Requests requests;
  requests.offset = {0};
  for (const auto& tokens : all) {
    requests.tokens.insert(requests.tokens.end(), tokens.begin(), tokens.end());
    requests.offset.push_back(static_cast<std::int64_t>(requests.tokens.size()));
    requests.context.push_back(static_cast<std::int32_t>(tokens.size()) - 1);
  }
  return requests;
}

using Sequences = std::vector<std::vector<Index>>;

TEST(RequestGroups, OneLengthEachTheLongestFirst) {
  const auto groups = request_groups(requests_of({{1, 2}, {1, 2, 3}, {4, 2}, {5, 2}}), 2);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].length, 2);
  EXPECT_EQ(groups[0].sequences, (Sequences{{1}}));
  EXPECT_EQ(groups[1].length, 1);
  EXPECT_EQ(groups[1].sequences, (Sequences{{0}, {2}}));
  EXPECT_EQ(groups[2].sequences, (Sequences{{3}}));
}

TEST(RequestGroups, OneForwardForOneTokenContinuationsOfAContext) {
  const auto groups =
      request_groups(requests_of({{7, 8, 1}, {9, 8, 1}, {7, 8, 2}, {7, 8, 3}}), 100);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].sequences, (Sequences{{0, 2, 3}, {1}}));
  EXPECT_EQ(groups[0].tokens(), 4);
}

TEST(RequestGroups, PartsHoldWholeGroups) {
  const auto parts = parts_of_groups({5, 4, 9, 30, 1}, 10);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0].last, 2);
  EXPECT_EQ(parts[2].first, 3);
  EXPECT_EQ(parts[2].last, 4);
  EXPECT_TRUE(parts_of_groups({}, 10).empty());
}

TEST(RequestGroups, SharesAreContiguousAndComplete) {
  const std::vector<Index> tokens{9, 9, 9, 4, 4, 4, 1, 1, 1};
  for (int ranks = 1; ranks <= 12; ++ranks) {
    Index next = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const Piece share = share_of_groups(tokens, ranks, rank);
      EXPECT_EQ(share.first, next);
      EXPECT_LE(share.first, share.last);
      next = share.last;
    }
    EXPECT_EQ(next, static_cast<Index>(tokens.size()));
  }
  EXPECT_EQ(share_of_groups(tokens, 2, 0).last, 2);  // 18 tokens of 42, 27 would be further off
}

}  // namespace
}  // namespace constrictor::schedule
