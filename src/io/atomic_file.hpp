// SPDX-License-Identifier: Apache-2.0
#pragma once
// A file with its final name is complete: written as `<path>.partial`, synchronised, renamed.

#include <filesystem>
#include <functional>
#include <string_view>

#include "io/h5.hpp"

namespace constrictor::io {

/// The name under which a file is written before it is complete.
std::filesystem::path partial_path(const std::filesystem::path& path);

/// Whoever writes `partial()` calls `commit()`; without it the partial file is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  const std::filesystem::path& partial() const { return partial_; }
  /// To disk, then under its final name. FileSystemError "path: ..." when that fails.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  bool committed_ = false;
};

/// FileSystemError with the path and the system's reason when the disk is full, the folder is
/// missing...; nothing is left behind then, and an older file of that name stays as it was.
void write_text_atomically(const std::filesystem::path& path, std::string_view text);
void write_h5_atomically(const std::filesystem::path& path,
                         const std::function<void(H5File&)>& fill);

/// Throws FileSystemError "path: sentence: reason" for the current errno.
[[noreturn]] void raise_file_system_error(const std::filesystem::path& path,
                                          std::string_view sentence);

}  // namespace constrictor::io
