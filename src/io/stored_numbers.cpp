// SPDX-License-Identifier: Apache-2.0
#include "io/stored_numbers.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/parallel.hpp"

namespace constrictor::io {
namespace {

constexpr Index piece_width = Index{1} << 16;

/// Converts `count` numbers; true when all are finite.
template <class Stored, class Convert>
bool convert_piece(const std::byte* from, float* to, Index count, Convert convert) {
  std::uint32_t largest = 0;  // largest exponent met, all ones for NaN and Inf
  for (Index i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * static_cast<Index>(sizeof(Stored)), sizeof(Stored));
    const float value = convert(stored);
    to[i] = value;
    largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7f800000u);
  }
  return largest != 0x7f800000u;
}

bool convert_piece(DType dtype, const std::byte* from, float* to, Index count) {
  switch (dtype) {
    case DType::float32:
      return convert_piece<float>(from, to, count, [](float x) { return x; });
    case DType::float16:
      return convert_piece<std::uint16_t>(from, to, count, float_of_half);
    case DType::bfloat16:
      return convert_piece<std::uint16_t>(from, to, count, [](std::uint16_t x) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
      });
  }
  throw Bug("convert_to_float: unknown dtype");
}

}  // namespace

std::optional<DType> dtype_of(std::string_view safetensors_dtype) {
  if (safetensors_dtype == "F32") return DType::float32;
  if (safetensors_dtype == "F16") return DType::float16;
  if (safetensors_dtype == "BF16") return DType::bfloat16;
  return std::nullopt;
}

const char* safetensors_dtype(DType dtype) {
  return dtype == DType::float32 ? "F32" : dtype == DType::float16 ? "F16" : "BF16";
}

Index bytes_of(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

Index convert_to_float(DType from, std::span<const std::byte> bytes, std::span<float> values) {
  const auto count = static_cast<Index>(values.size());
  CONSTRICTOR_REQUIRE(static_cast<Index>(bytes.size()) == count * bytes_of(from), bytes.size(),
                      count);
  const Index n_pieces = pieces(count, piece_width);
  std::vector<Index> first_bad(static_cast<std::size_t>(n_pieces), -1);
  parallel_for(n_pieces, [&](Index i) {
    const Piece part = piece(count, piece_width, i);
    float* to = values.data() + part.first;
    if (convert_piece(from, bytes.data() + part.first * bytes_of(from), to, part.size())) return;
    const auto is_bad = [](float x) {
      return (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) == 0x7f800000u;
    };
    first_bad[static_cast<std::size_t>(i)] =
        part.first + (std::find_if(to, to + part.size(), is_bad) - to);
  });
  for (const Index position : first_bad)
    if (position >= 0) return position;
  return -1;
}

std::vector<std::byte> stored_bytes(DType to, std::span<const float> values) {
  const auto count = static_cast<Index>(values.size());
  std::vector<std::byte> bytes(static_cast<std::size_t>(count * bytes_of(to)));
  if (to == DType::float32) {
    if (count > 0) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  parallel_for(pieces(count, piece_width), [&](Index i) {
    const Piece part = piece(count, piece_width, i);
    for (Index k = part.first; k < part.last; ++k) {
      const float value = values[static_cast<std::size_t>(k)];
      const std::uint16_t stored =
          to == DType::bfloat16 ? bfloat16(value).bits : half_of_float(value);
      std::memcpy(bytes.data() + 2 * k, &stored, 2);
    }
  });
  return bytes;
}

}  // namespace constrictor::io
