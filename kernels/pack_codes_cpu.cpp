// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/pack_codes.hpp"

namespace constrictor::kernels {
namespace {

constexpr Index rows_together = 16;
constexpr Index transposed_tile = 64;

/// `count` codes, any number, into packed_words(count) words.
void pack_stream(const std::uint8_t* codes, Index count, int bits, std::uint32_t* words) {
  std::uint64_t stock = 0;  // bits not yet written, lowest first
  int held = 0;
  for (Index i = 0; i < count; ++i) {
    stock |= static_cast<std::uint64_t>(codes[i]) << held;
    held += bits;
    if (held < 32) continue;
    *words++ = static_cast<std::uint32_t>(stock);
    stock >>= 32;
    held -= 32;
  }
  if (held > 0) *words = static_cast<std::uint32_t>(stock);
}

/// 32 codes into `bits` words; with the width known, the loops dissolve into shifts.
template <int bits>
void pack_32(const std::uint8_t* codes, std::uint32_t* words) {
  std::uint32_t local[bits] = {};
  for (int i = 0; i < 32; ++i) {
    const int word = i * bits / 32, shift = i * bits % 32;
    local[word] |= static_cast<std::uint32_t>(codes[i]) << shift;
    if (shift + bits > 32) local[word + 1] |= static_cast<std::uint32_t>(codes[i]) >> (32 - shift);
  }
  std::copy_n(local, bits, words);
}

template <int bits>
void unpack_32(const std::uint32_t* words, std::uint8_t* codes) {
  constexpr std::uint32_t mask = (1u << bits) - 1;
  for (int i = 0; i < 32; ++i) {
    const int word = i * bits / 32, shift = i * bits % 32;
    std::uint32_t value = words[word] >> shift;
    if (shift + bits > 32) value |= words[word + 1] << (32 - shift);
    codes[i] = static_cast<std::uint8_t>(value & mask);
  }
}

void unpack_stream(const std::uint32_t* words, int bits, std::uint8_t* codes, Index count) {
  const std::uint32_t mask = (1u << bits) - 1;
  for (Index i = 0; i < count; ++i) {
    const Index word = i * bits / 32;
    const int shift = static_cast<int>(i * bits % 32);
    std::uint32_t value = words[word] >> shift;
    if (shift + bits > 32) value |= words[word + 1] << (32 - shift);
    codes[i] = static_cast<std::uint8_t>(value & mask);
  }
}

/// fn(std::integral_constant<int, bits>)
template <class Function>
void with_width(int bits, Function&& fn) {
  switch (bits) {
    case 1:
      return fn(std::integral_constant<int, 1>());
    case 2:
      return fn(std::integral_constant<int, 2>());
    case 3:
      return fn(std::integral_constant<int, 3>());
    case 4:
      return fn(std::integral_constant<int, 4>());
    case 5:
      return fn(std::integral_constant<int, 5>());
    case 6:
      return fn(std::integral_constant<int, 6>());
    case 7:
      return fn(std::integral_constant<int, 7>());
    case 8:
      return fn(std::integral_constant<int, 8>());
  }
  CONSTRICTOR_REQUIRE(bits >= 1 && bits <= 8, bits);
}

template <class T>
void transpose(View<const T> from, View<T> to) {
  CONSTRICTOR_REQUIRE(to.rows == from.cols && to.cols == from.rows, from.rows, from.cols, to.rows,
                      to.cols);
  parallel_for(pieces(from.cols, transposed_tile), [&](Index t) {
    const Piece cols = piece(from.cols, transposed_tile, t);
    for (Index r0 = 0; r0 < from.rows; r0 += transposed_tile) {
      const Index last = std::min(from.rows, r0 + transposed_tile);
      for (Index c = cols.first; c < cols.last; ++c)
        for (Index r = r0; r < last; ++r) to(c, r) = from(r, c);
    }
  });
}

}  // namespace

void pack_codes(View<const std::uint8_t> codes, int bits, View<std::uint32_t> words) {
  CONSTRICTOR_REQUIRE(words.rows == codes.rows && words.cols == packed_words(codes.cols, bits),
                      words.rows, words.cols, codes.rows, codes.cols, bits);
  const Index whole = codes.cols / 32 * 32;
  with_width(bits, [&](auto width) {
    parallel_for(pieces(codes.rows, rows_together), [&](Index t) {
      const Piece rows = piece(codes.rows, rows_together, t);
      for (Index r = rows.first; r < rows.last; ++r) {
        std::uint32_t* to = words.row(r);
        for (Index i = 0; i < whole; i += 32, to += width) pack_32<width>(codes.row(r) + i, to);
        pack_stream(codes.row(r) + whole, codes.cols - whole, width, to);
      }
    });
  });
}

void unpack_codes(View<const std::uint32_t> words, int bits, View<std::uint8_t> codes) {
  CONSTRICTOR_REQUIRE(words.rows == codes.rows && words.cols >= packed_words(codes.cols, bits),
                      words.rows, words.cols, codes.rows, codes.cols, bits);
  const Index whole = codes.cols / 32 * 32;
  with_width(bits, [&](auto width) {
    parallel_for(pieces(codes.rows, rows_together), [&](Index t) {
      const Piece rows = piece(codes.rows, rows_together, t);
      for (Index r = rows.first; r < rows.last; ++r) {
        const std::uint32_t* from = words.row(r);
        for (Index i = 0; i < whole; i += 32, from += width)
          unpack_32<width>(from, codes.row(r) + i);
        unpack_stream(from, width, codes.row(r) + whole, codes.cols - whole);
      }
    });
  });
}

void unpack_padded_codes(View<const std::uint32_t> words, int bits, View<std::uint8_t> codes) {
  const Index per_word = 32 / bits;
  CONSTRICTOR_REQUIRE(words.rows == codes.rows && words.cols * per_word >= codes.cols, words.rows,
                      words.cols, codes.rows, codes.cols, bits);
  const std::uint32_t mask = (1u << bits) - 1;
  parallel_for(pieces(codes.rows, rows_together), [&](Index t) {
    const Piece rows = piece(codes.rows, rows_together, t);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index i = 0; i < codes.cols; ++i)
        codes(r, i) =
            static_cast<std::uint8_t>(words(r, i / per_word) >> (i % per_word * bits) & mask);
  });
}

void transpose_words(View<const std::uint32_t> from, View<std::uint32_t> to) {
  transpose(from, to);
}
void transpose_codes(View<const std::uint8_t> from, View<std::uint8_t> to) { transpose(from, to); }

}  // namespace constrictor::kernels
