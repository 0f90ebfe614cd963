// SPDX-License-Identifier: Apache-2.0
#pragma once
// The safetensors files of a model folder, one or many, and where each tensor lies.

#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/safetensors.hpp"

namespace constrictor::io {

/// A tensor and the file that holds it.
struct StoredTensor {
  const SafetensorsFile* file = nullptr;
  const TensorEntry* entry = nullptr;
  std::span<const std::byte> bytes() const { return file->bytes(*entry); }
};

class ModelFiles {
 public:
  /// Opens model.safetensors, or the shards that model.safetensors.index.json lists, and checks
  /// that they hold what the index says. UserError otherwise, with a hint when the folder holds
  /// pickles.
  explicit ModelFiles(std::filesystem::path folder);

  /// file == nullptr when there is no such tensor.
  StoredTensor find(const std::string& name) const;
  /// The same, but UserError when it is missing.
  StoredTensor at(const std::string& name) const;
  /// Sorted by file name.
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  void open_index(const std::filesystem::path& index);
  std::filesystem::path folder_;
  std::filesystem::path listing_;  // what says which tensors there are, for messages
  std::vector<SafetensorsFile> files_;
  std::unordered_map<std::string, StoredTensor> tensors_;
};

}  // namespace constrictor::io
