// SPDX-License-Identifier: Apache-2.0
#include "kernels/exp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

namespace constrictor::kernels {
namespace {

/// Floats between a and b, both >= 0.
std::int64_t distance(float a, float b) {
  return std::abs(static_cast<std::int64_t>(std::bit_cast<std::int32_t>(a)) -
                  std::bit_cast<std::int32_t>(b));
}

/// Every 997th float between two of equal sign.
std::vector<float> floats_between(float smallest, float largest) {
  std::vector<float> found;
  for (auto u = std::bit_cast<std::uint32_t>(smallest); u <= std::bit_cast<std::uint32_t>(largest);
       u += 997)
    found.push_back(std::bit_cast<float>(u));
  return found;
}

TEST(FastExp, IsWithinTwoUnitsOfTheLastPlaceEverywhere) {
  std::int64_t worst = 0;
  for (const float sign : {1.0f, -1.0f})
    for (const float magnitude : floats_between(0.0f, 110.0f)) {
      const float x = sign * magnitude;
      worst = std::max(worst,
                       distance(fast_exp(x), static_cast<float>(std::exp(static_cast<double>(x)))));
    }
  EXPECT_LE(worst, 2);
}

TEST(FastExp, IsTheSameInVectorsAndAlone) {
  const std::vector<float> x = floats_between(1e-3f, 80.0f);
  std::vector<float> y(x.size());
#pragma omp simd
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = fast_exp(-x[i]);
  std::int64_t worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    worst =
        std::max(worst, distance(y[i], static_cast<float>(std::exp(-static_cast<double>(x[i])))));
  EXPECT_LE(worst, 2);
}

TEST(FastExp, HandlesTheEndsOfTheRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(fast_exp(0.0f), 1.0f);
  EXPECT_EQ(fast_exp(-infinity), 0.0f);
  EXPECT_EQ(fast_exp(-1e30f), 0.0f);
  EXPECT_EQ(fast_exp(infinity), infinity);
  EXPECT_EQ(fast_exp(89.0f), infinity);
  EXPECT_TRUE(std::isfinite(fast_exp(88.72f)));
  EXPECT_GT(fast_exp(-103.0f), 0.0f);  // a denormal number
  EXPECT_TRUE(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace constrictor::kernels
