// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bit>
#include <cstdint>

namespace constrictor {

/// The upper half of a float32. Conversion rounds to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  constexpr explicit bfloat16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = is_nan ? static_cast<std::uint16_t>((u >> 16) | 0x40u)
                  : static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  constexpr explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

/// The value that survives a round trip through bfloat16.
constexpr float rounded_to_bfloat16(float value) { return static_cast<float>(bfloat16(value)); }

/// How products of activations are formed. `bfloat16`: both factors are rounded to bfloat16, the
/// sum is float32 (what a bfloat16 model does everywhere). `automatic` follows the model's files.
enum class Products { automatic, float32, bfloat16 };

}  // namespace constrictor
