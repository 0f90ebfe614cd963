// SPDX-License-Identifier: Apache-2.0
#include "io/stored_numbers.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/bfloat16.hpp"

namespace constrictor::io {
namespace {

/// IEEE 754 half by its definition, in double.
double half_by_definition(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

std::vector<std::uint16_t> all_16_bit_patterns() {
  std::vector<std::uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<std::uint16_t>(i);
  return patterns;
}

TEST(StoredNumbers, AllHalvesAreExact) {
  const auto stored = all_16_bit_patterns();
  std::vector<float> values(stored.size());
  EXPECT_EQ(convert_to_float(DType::float16, bytes_of(stored), values), 0x7c00);  // +Inf
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const double expected = half_by_definition(stored[i]);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(values[i])) << i;
    } else {
      EXPECT_EQ(values[i], expected) << i;
      EXPECT_EQ(std::signbit(values[i]), i >= 32768) << i;  // -0 too
    }
  }
}

TEST(StoredNumbers, AllBfloat16AreExact) {
  const auto stored = all_16_bit_patterns();
  std::vector<float> values(stored.size());
  EXPECT_EQ(convert_to_float(DType::bfloat16, bytes_of(stored), values), 0x7f80);  // +Inf
  for (std::size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(values[i]), static_cast<std::uint32_t>(i) << 16);
    const int exponent = static_cast<int>(i >> 7) & 255, mantissa = static_cast<int>(i) & 127;
    if (exponent == 255) continue;
    const double magnitude =
        std::ldexp(exponent == 0 ? mantissa : 128 + mantissa, std::max(exponent, 1) - 134);
    EXPECT_EQ(std::fabs(values[i]), magnitude) << i;
    if (std::isfinite(values[i])) {
      EXPECT_EQ(bfloat16(values[i]).bits, stored[i]);  // and back
    }
  }
}

TEST(StoredNumbers, FloatsPassUnchangedFromAnyAddress) {
  const std::vector<float> numbers = {1.5f, -0.0f, 1e-45f, 3.4e38f};
  std::vector<std::byte> shifted(numbers.size() * 4 + 1);
  std::memcpy(shifted.data() + 1, numbers.data(), numbers.size() * 4);
  std::vector<float> values(numbers.size());
  EXPECT_EQ(convert_to_float(DType::float32, std::span(shifted).subspan(1), values), -1);
  EXPECT_EQ(std::memcmp(values.data(), numbers.data(), numbers.size() * 4), 0);
}

TEST(StoredNumbers, TheFirstNanOrInfIsFoundWhereverItIs) {
  constexpr std::size_t count = 300000;  // several pieces of work
  for (const std::size_t position :
       {std::size_t{0}, std::size_t{65535}, std::size_t{65536}, count - 1})
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> stored(count, std::numeric_limits<float>::max()), values(count);
      stored[position] = bad;
      stored[count - 1] = NAN;  // a later one does not matter
      EXPECT_EQ(convert_to_float(DType::float32, bytes_of(stored), values),
                static_cast<Index>(position));
    }
}

TEST(StoredNumbers, NothingConvertsToNothing) {
  EXPECT_EQ(convert_to_float(DType::float16, {}, {}), -1);
  std::vector<float> one(1);
  EXPECT_THROW(convert_to_float(DType::float16, {}, one), Bug);
}

TEST(StoredNumbers, EveryHalfSurvivesAndWhatLiesBetweenRoundsToTheNearestEven) {
  for (std::uint32_t half = 0; half < 0x7bff; ++half) {
    const float low = float_of_half(static_cast<std::uint16_t>(half));
    const float high = float_of_half(static_cast<std::uint16_t>(half + 1));
    ASSERT_EQ(half_of_float(low), half);
    ASSERT_EQ(half_of_float(-low), half | 0x8000u);
    const float middle = low + (high - low) / 2;  // exact in float32
    ASSERT_EQ(half_of_float(middle), half + (half & 1u)) << half;
    ASSERT_EQ(half_of_float(std::nextafter(middle, 0.f)), half);
    ASSERT_EQ(half_of_float(std::nextafter(middle, 1e9f)), half + 1);
  }
  EXPECT_EQ(half_of_float(65519.f), 0x7bff);
  EXPECT_EQ(half_of_float(65520.f), 0x7c00);
  EXPECT_EQ(half_of_float(INFINITY), 0x7c00);
  EXPECT_EQ(half_of_float(1e-30f), 0);
  EXPECT_NE(half_of_float(NAN) & 0x3ff, 0);
}

}  // namespace
}  // namespace constrictor::io
