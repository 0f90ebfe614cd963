// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <span>

#include "io/mapped_file.hpp"
#include "io/safetensors_header.hpp"

namespace constrictor::io {

/// One mapped *.safetensors file with its checked header. Errors carry the path.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  /// The stored bytes of one tensor of `header()`.
  std::span<const std::byte> bytes(const TensorEntry& tensor) const;
  /// The length field and the JSON text.
  std::span<const std::byte> header_bytes() const { return map_.bytes().first(header_.bytes); }
  /// The tensor's pages are no longer counted as memory of this process.
  void release(const TensorEntry& tensor) const { map_.release(bytes(tensor)); }
  void release(std::span<const std::byte> part) const { map_.release(part); }

 private:
  std::filesystem::path path_;
  MappedFile map_;
  SafetensorsHeader header_;
};

}  // namespace constrictor::io
