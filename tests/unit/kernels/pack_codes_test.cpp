// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack_codes.hpp"

#include <gtest/gtest.h>

#include <random>

namespace constrictor::kernels {
namespace {

Matrix<std::uint8_t> random_codes(Index rows, Index cols, int bits) {
  std::mt19937 random(static_cast<unsigned>(bits));
  Matrix<std::uint8_t> codes(rows, cols);
  for (auto& code : codes.values()) code = static_cast<std::uint8_t>(random() % (1u << bits));
  return codes;
}

TEST(PackCodes, FourBitsByHand) {
  Matrix<std::uint8_t> codes(1, 9);
  for (Index i = 0; i < 9; ++i) codes(0, i) = static_cast<std::uint8_t>(i + 1);
  Matrix<std::uint32_t> words(1, 2);
  pack_codes(codes.view(), 4, words.view());
  EXPECT_EQ(words(0, 0), 0x87654321u);
  EXPECT_EQ(words(0, 1), 0x9u);
}

TEST(PackCodes, ACodeOfThreeBitsStraddlesWords) {
  Matrix<std::uint8_t> codes(1, 11);
  codes(0, 10) = 0b101;  // bits 30, 31 and 32 of the stream
  Matrix<std::uint32_t> words(1, 2);
  pack_codes(codes.view(), 3, words.view());
  EXPECT_EQ(words(0, 0), 0b01u << 30);
  EXPECT_EQ(words(0, 1), 1u);
}

TEST(PackCodes, EveryBitIsWhereTheDefinitionPutsIt) {
  for (int bits = 1; bits <= 8; ++bits)
    for (const Index cols : {1, 5, 31, 32, 33, 64, 70}) {
      const auto codes = random_codes(19, cols, bits);
      Matrix<std::uint32_t> words(19, packed_words(cols, bits));
      pack_codes(codes.view(), bits, words.view());
      for (Index r = 0; r < 19; ++r)
        for (Index k = 0; k < words.cols() * 32; ++k) {
          const unsigned want = k < cols * bits ? codes(r, k / bits) >> (k % bits) & 1u : 0u;
          ASSERT_EQ(words(r, k / 32) >> (k % 32) & 1u, want) << bits << " " << cols << " " << k;
        }
      Matrix<std::uint8_t> back(19, cols);
      unpack_codes(words.view(), bits, back.view());
      EXPECT_TRUE(std::equal(codes.values().begin(), codes.values().end(), back.values().begin()));
    }
}

TEST(PackCodes, PaddedWordsHoldWholeCodes) {
  const auto codes = random_codes(3, 23, 3);
  Matrix<std::uint32_t> words(3, 3);
  for (Index r = 0; r < 3; ++r)
    for (Index i = 0; i < 23; ++i)
      words(r, i / 10) |= static_cast<std::uint32_t>(codes(r, i)) << (3 * (i % 10));
  Matrix<std::uint8_t> back(3, 23);
  unpack_padded_codes(words.view(), 3, back.view());
  EXPECT_TRUE(std::equal(codes.values().begin(), codes.values().end(), back.values().begin()));
}

TEST(PackCodes, Transposes) {
  Matrix<std::uint32_t> words(70, 131), turned(131, 70);
  for (Index i = 0; i < words.size(); ++i) words.data()[i] = static_cast<std::uint32_t>(i);
  transpose_words(words.view(), turned.view());
  for (Index r = 0; r < 70; ++r)
    for (Index c = 0; c < 131; ++c) ASSERT_EQ(turned(c, r), words(r, c));
}

}  // namespace
}  // namespace constrictor::kernels
