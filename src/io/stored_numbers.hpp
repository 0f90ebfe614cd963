// SPDX-License-Identifier: Apache-2.0
#pragma once
// From the numbers of a model file (float32, float16, bfloat16) to float32, exactly, and back.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "data/model_spec.hpp"

namespace constrictor::io {

/// The value of an IEEE half. Bit operations instead of a type: the loop over many vectorises with
/// every compiler, and no denormal float32 occurs on the way (safe under flush-to-zero).
inline float float_of_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fffu) << 13;
  const std::uint32_t exponent = magnitude & 0x0f800000u;
  // Exponent bias 15 -> 127; Inf and NaN move on to the largest exponent.
  const std::uint32_t normal =
      magnitude + (112u << 23) + (exponent == 0x0f800000u ? 112u << 23 : 0u);
  // 2^-14 (1 + m/1024) - 2^-14 = m 2^-24
  const float small =
      std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23);
  return std::bit_cast<float>(sign |
                              (exponent == 0 ? std::bit_cast<std::uint32_t>(small) : normal));
}

/// The nearest IEEE half, ties to even; beyond 65519.99 it is Inf.
inline std::uint16_t half_of_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x47800000u)  // 2^16 and more, Inf, NaN
    return static_cast<std::uint16_t>(sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u));
  if (magnitude < 0x38800000u) {  // below 2^-14: multiples of 2^-24; adding 2^-1 rounds to them
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

/// What is left of a number after it has been stored as `dtype`.
inline float as_stored(DType dtype, float value) {
  if (dtype == DType::bfloat16) return rounded_to_bfloat16(value);
  return dtype == DType::float16 ? float_of_half(half_of_float(value)) : value;
}

/// DType of a safetensors dtype, nothing for those that no weight may have.
std::optional<DType> dtype_of(std::string_view safetensors_dtype);
const char* safetensors_dtype(DType dtype);  // "BF16"
Index bytes_of(DType dtype);

/// values[i] = the stored number i; `bytes` need no alignment. Returns the position of the first
/// NaN or Inf, or -1. Runs in parallel; the result does not depend on the number of threads.
Index convert_to_float(DType from, std::span<const std::byte> bytes, std::span<float> values);

/// The bytes of the numbers as `to`, rounded to nearest.
std::vector<std::byte> stored_bytes(DType to, std::span<const float> values);

}  // namespace constrictor::io
