// SPDX-License-Identifier: Apache-2.0
// What ranks say to each other. Small integers: every sum is exact in any order.
#include <gtest/gtest.h>

#include <numeric>

#include "comm/communicator.hpp"

namespace constrictor::comm {
namespace {

/// Pieces of 7 elements: every transfer below is cut, as buffers beyond 2^31 elements would be.
Communicator short_pieces() { return Communicator::world(7); }

std::vector<std::byte> pattern(Index length, int seed) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(length));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>((i * 31 + static_cast<std::size_t>(seed) * 17) & 0xff);
  return bytes;
}

TEST(Communicator, KnowsItsPlace) {
  const Communicator ranks = short_pieces();
  EXPECT_GE(ranks.rank(), 0);
  EXPECT_LT(ranks.rank(), ranks.size());
  EXPECT_EQ(ranks.node_size(), ranks.size()) << "tests run on one node";
  EXPECT_EQ(ranks.node_rank(), ranks.rank());
  EXPECT_EQ(static_cast<int>(ranks.hosts().size()), ranks.size());
  for (const std::string& host : ranks.hosts()) EXPECT_FALSE(host.empty());
  ranks.barrier();
}

TEST(Communicator, BroadcastsFromAnyRank) {
  const Communicator ranks = short_pieces();
  for (int root = 0; root < ranks.size(); ++root) {
    const bool speaker = ranks.rank() == root;
    std::string text = speaker ? std::string("a sentence that is longer than one piece") : "?";
    ranks.broadcast(text, root);
    EXPECT_EQ(text, "a sentence that is longer than one piece");
    std::string nothing = speaker ? "" : "old";
    ranks.broadcast(nothing, root);
    EXPECT_EQ(nothing, "");

    double number = speaker ? 2.5 + root : 0;
    ranks.broadcast(number, root);
    EXPECT_EQ(number, 2.5 + root);

    std::vector<Index> list;
    if (speaker) list = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
    ranks.broadcast(list, root);
    EXPECT_EQ(list, (std::vector<Index>{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5}));

    Matrix<float> matrix = speaker ? Matrix<float>(5, 3) : Matrix<float>(1, 1);
    if (speaker) std::iota(matrix.values().begin(), matrix.values().end(), 1.0f);
    ranks.broadcast(matrix, root);
    EXPECT_EQ(matrix.rows(), 5);
    EXPECT_EQ(matrix.cols(), 3);
    if (matrix.size() == 15) {
      EXPECT_EQ(matrix(4, 2), 15.0f);
      EXPECT_EQ(matrix(0, 1), 2.0f);
    }
  }
}

TEST(Communicator, SumsAndExtremes) {
  const Communicator ranks = short_pieces();
  const int n = ranks.size();
  std::vector<float> floats(20);
  std::vector<double> doubles(20);
  std::vector<Index> integers(20);
  for (std::size_t i = 0; i < 20; ++i) {
    floats[i] = static_cast<float>(i) + static_cast<float>(ranks.rank());
    doubles[i] = floats[i];
    integers[i] = static_cast<Index>(i) + (Index{1} << 40);
  }
  ranks.sum(std::span<float>(floats));
  ranks.sum(std::span<double>(doubles));
  ranks.sum(std::span<Index>(integers));
  for (int i = 0; i < 20; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(floats[at], static_cast<float>(n * i + n * (n - 1) / 2));
    EXPECT_EQ(doubles[at], n * i + n * (n - 1) / 2);
    EXPECT_EQ(integers[at], n * (i + (Index{1} << 40)));
  }
  EXPECT_EQ(ranks.sum(Index{ranks.rank()}), n * (n - 1) / 2);
  EXPECT_EQ(ranks.max(static_cast<double>(ranks.rank())), n - 1.0);
  EXPECT_EQ(ranks.min(static_cast<double>(ranks.rank())), 0.0);
  EXPECT_EQ(ranks.max(Index{-ranks.rank()}), 0);
  EXPECT_EQ(ranks.min(Index{-ranks.rank()}), 1 - n);
}

TEST(Communicator, OneTrueRankMakesItTrue) {
  const Communicator ranks = short_pieces();
  EXPECT_FALSE(ranks.any(false));
  EXPECT_TRUE(ranks.any(ranks.rank() == ranks.size() - 1));
  EXPECT_TRUE(ranks.any(true));
}

TEST(Communicator, GathersBuffersOfDifferentLengths) {
  const Communicator ranks = short_pieces();
  const auto length = [](int rank) { return Index{13} * rank * rank; };  // rank 0 has nothing
  const Bytes mine = pattern(length(ranks.rank()), ranks.rank());
  for (int root = 0; root < ranks.size(); ++root) {
    const std::vector<Bytes> all = ranks.gather(mine, root);
    EXPECT_EQ(static_cast<int>(all.size()), ranks.rank() == root ? ranks.size() : 0);
    for (std::size_t r = 0; r < all.size(); ++r)
      EXPECT_EQ(all[r], pattern(length(static_cast<int>(r)), static_cast<int>(r)));
  }
  const std::vector<Bytes> everywhere = ranks.all_gather(mine);
  EXPECT_EQ(static_cast<int>(everywhere.size()), ranks.size());
  for (std::size_t r = 0; r < everywhere.size(); ++r)
    EXPECT_EQ(everywhere[r], pattern(length(static_cast<int>(r)), static_cast<int>(r)));
}

TEST(Communicator, SendsAlongTheRing) {
  const Communicator ranks = short_pieces();
  if (ranks.size() == 1) GTEST_SKIP() << "needs two ranks";
  std::vector<float> values(100);
  if (ranks.rank() == 0) std::iota(values.begin(), values.end(), 0.5f);
  const int next = (ranks.rank() + 1) % ranks.size();
  const int previous = (ranks.rank() + ranks.size() - 1) % ranks.size();
  if (ranks.rank() == 0) {
    ranks.send(std::span<const float>(values), next);
    std::fill(values.begin(), values.end(), 0.0f);
    ranks.receive(std::span<float>(values), previous);
  } else {
    ranks.receive(std::span<float>(values), previous);
    for (float& v : values) v += 1;
    ranks.send(std::span<const float>(values), next);
  }
  if (ranks.rank() == 0) {
    EXPECT_EQ(values.front(), 0.5f + static_cast<float>(ranks.size() - 1));
    EXPECT_EQ(values.back(), 99.5f + static_cast<float>(ranks.size() - 1));
  }
}

TEST(Communicator, RefusesToSendToItself) {
  const Communicator ranks = short_pieces();
  float value = 0;
  EXPECT_THROW(ranks.send(std::span<const float>(&value, 1), ranks.rank()), Bug);
  EXPECT_THROW(ranks.receive(std::span<float>(&value, 1), ranks.size()), Bug);
}

}  // namespace
}  // namespace constrictor::comm
