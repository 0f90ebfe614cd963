// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

namespace constrictor::kernels {

/// e^x to 2 units in the last place, without branches or calls, so that loops over it vectorise
/// (std::exp is a library call per element). Gradual underflow, infinity on overflow, NaN stays
/// NaN.
///
///   x = n ln 2 + r, |r| <= ln 2 / 2;   e^x = 2^n e^r,  e^r by Taylor to degree 7 (remainder <
///   6e-9)
inline float fast_exp(float x) {
  constexpr float log2_e = 1.44269504f;
  constexpr float ln2_high = 0.693359375f;    // 10 bits: n * ln2_high is exact
  constexpr float ln2_low = -2.12194440e-4f;  // ln 2 - ln2_high
  constexpr float rounder = 12582912.0f;      // 1.5 * 2^23: adding it leaves an integer at the end
  x = x < -104.0f ? -104.0f : x;              // e^-104 rounds to 0
  x = x > 89.0f ? 89.0f : x;                  // e^89 is infinite
  const float shifted = x * log2_e + rounder;
  const float n = shifted - rounder;
  const float r = (x - n * ln2_high) - n * ln2_low;

  float q = 1.0f / 5040;
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  const float e_r = 1.0f + (r + r * r * q);

  // 2^n in two factors: n reaches 128 and -150, where one factor alone would leave float's
  // exponents.
  const auto exponent = std::bit_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) -
                                                    std::bit_cast<std::uint32_t>(rounder));
  const std::int32_t half = exponent >> 1;
  const auto power = [](std::int32_t k) {
    return std::bit_cast<float>((static_cast<std::uint32_t>(k) + 127u) << 23);
  };
  return e_r * power(half) * power(exponent - half);
}

}  // namespace constrictor::kernels
