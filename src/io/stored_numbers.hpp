// SPDX-License-Identifier: Apache-2.0
#pragma once
// From the numbers of a model file (float32, float16, bfloat16) to float32, exactly.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

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

/// DType of a safetensors dtype, nothing for those that no weight may have.
std::optional<DType> dtype_of(std::string_view safetensors_dtype);
Index bytes_of(DType dtype);

/// values[i] = the stored number i; `bytes` need no alignment. Returns the position of the first
/// NaN or Inf, or -1. Runs in parallel; the result does not depend on the number of threads.
Index convert_to_float(DType from, std::span<const std::byte> bytes, std::span<float> values);

}  // namespace constrictor::io
