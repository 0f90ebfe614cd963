// SPDX-License-Identifier: Apache-2.0
#pragma once
// Safetensors files whose sizes are known before their contents: the headers go first, the tensors
// follow in any order and piece by piece, so that no more than one of them is in memory.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/matrix.hpp"
#include "io/descriptor.hpp"

namespace constrictor::io {

struct PlannedTensor {
  std::string name;
  std::string dtype;  // "I32", "BF16", ...
  std::vector<Index> shape;
};

/// Bytes of a tensor of this dtype and shape.
std::uint64_t bytes_of(const PlannedTensor& tensor);

class SafetensorsWriter {
 public:
  static constexpr std::uint64_t largest_file = 5'000'000'000;

  /// Makes model.safetensors in `folder`, or model-00001-of-00003.safetensors ... with
  /// model.safetensors.index.json where one file would exceed `limit` bytes; tensors go to the
  /// files in the order given. The space is asked for at once: FileSystemError on a full disk.
  SafetensorsWriter(std::filesystem::path folder, std::vector<PlannedTensor> tensors,
                    std::uint64_t limit = largest_file);

  /// Bytes of a tensor from `offset` on. FileSystemError with the file's path.
  void write(const std::string& name, std::span<const std::byte> bytes, std::uint64_t offset = 0);
  template <class T>
  void write(const std::string& name, std::span<const T> values) {
    write(name, std::as_bytes(values));
  }

  /// To disk. A Bug when a tensor was not written in full.
  void finish();

  /// Of all files.
  std::uint64_t bytes() const;
  std::size_t files() const { return files_.size(); }

 private:
  struct File {
    std::filesystem::path path;
    Descriptor descriptor;
    std::uint64_t size = 0;
    std::uint64_t unsent = 0;  // bytes written since the disk was last told to start
    std::vector<std::size_t> tensors;
  };
  struct Place {
    std::size_t file = 0;
    std::uint64_t begin = 0, bytes = 0, written = 0;
  };
  void start(File& file);
  void write_at(const File& file, std::span<const std::byte> bytes, std::uint64_t position) const;
  void write_index() const;

  std::filesystem::path folder_;
  std::vector<PlannedTensor> tensors_;
  std::vector<File> files_;
  std::map<std::string, Place> places_;
};

}  // namespace constrictor::io
