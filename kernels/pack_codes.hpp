// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "core/matrix.hpp"

namespace constrictor::kernels {

/// Words of 32 bits that a stream of `count` codes takes.
constexpr Index packed_words(Index count, int bits) { return (count * bits + 31) / 32; }

/// Every row of codes [rows x n] becomes an unbroken stream of `bits` a code, least significant
/// first: bit k of the stream is bit k % 32 of word k / 32; what is left of the last word is 0.
///   codes  [rows x n]                        in: each below 2^bits, bits 1..8
///   words  [rows x packed_words(n, bits)]    out
/// 32 codes fill exactly `bits` words, so the stream is the one that compressed-tensors (0.18 and
/// later), and for 2, 3, 4 and 8 bits GPTQ, store.
void pack_codes(View<const std::uint8_t> codes, int bits, View<std::uint32_t> words);

/// The inverse: codes [rows x n] from words [rows x at least packed_words(n, bits)].
void unpack_codes(View<const std::uint32_t> words, int bits, View<std::uint8_t> codes);

/// floor(32 / bits) whole codes a word, its highest bits unused: how compressed-tensors before 0.18
/// stored widths that do not divide 32.
void unpack_padded_codes(View<const std::uint32_t> words, int bits, View<std::uint8_t> codes);

/// to(c, r) = from(r, c); `to` is [from.cols x from.rows].
void transpose_words(View<const std::uint32_t> from, View<std::uint32_t> to);
void transpose_codes(View<const std::uint8_t> from, View<std::uint8_t> to);

}  // namespace constrictor::kernels
