// SPDX-License-Identifier: Apache-2.0
#pragma once
// The header of a safetensors file: 8 bytes of length (little-endian), JSON, then the tensors'
// bytes. The file may come from a stranger: whatever the bytes are, parsing ends in a header or a
// UserError.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::io {

/// One tensor of the file; bytes [begin, end) counted from the start of the file.
struct TensorEntry {
  std::string name;
  std::string dtype;  // as in the file: F32, F16, BF16, I64, ...
  std::vector<Index> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // sorted by name
  std::map<std::string, std::string> metadata;
  std::uint64_t bytes = 0;  // of the header with its length field: where the tensors' bytes start
  /// nullptr when the file has no such tensor.
  const TensorEntry* find(std::string_view name) const;
};

/// Parses and checks everything that can be known without the tensors' bytes: the length of the
/// header, JSON and UTF-8, names given twice, dtypes, shape x dtype = bytes, and that the tensors
/// fill the rest of the file without overlap or hole.
/// `file_start` holds at least the header; `file_size` is the size of the whole file in bytes.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file_start,
                                           std::uint64_t file_size);

/// Bits of one element of a safetensors dtype ("BF16"); 0 for an unknown one.
std::uint64_t bits_of_dtype(std::string_view dtype);

/// "[64, 40]"
std::string shape_text(const std::vector<Index>& shape);
/// A name from a stranger's file, fit for a message: control characters replaced, cut at 120 bytes.
std::string printable(std::string_view name);

}  // namespace constrictor::io
