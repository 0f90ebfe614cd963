// SPDX-License-Identifier: Apache-2.0
#pragma once
// A model folder that appears under its name only when it is complete: made as `<path>.partial`,
// renamed at the end. A folder of ours is known by its constrictor.json.

#include <filesystem>
#include <string>
#include <vector>

#include "io/descriptor.hpp"

namespace constrictor::io {

inline constexpr const char* export_record = "constrictor.json";

/// UserError when there is something at `path` that an export of ours may not replace: a file, or a
/// folder that is neither empty nor an earlier export.
void require_replaceable(const std::filesystem::path& path);

class ExportFolder {
 public:
  /// Makes `<path>.partial`, after removing what a killed export left there. UserError when another
  /// process is writing it or it is not ours; FileSystemError when it cannot be made.
  explicit ExportFolder(const std::filesystem::path& path);
  ExportFolder(const ExportFolder&) = delete;
  ExportFolder& operator=(const ExportFolder&) = delete;
  /// Removes the partial folder unless it was committed.
  ~ExportFolder();

  const std::filesystem::path& partial() const { return partial_; }
  /// Under its final name, in place of an earlier export.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  Descriptor lock_;
  bool committed_ = false;
};

/// Copies the files of a model folder that are neither weights nor config.json: tokenizer,
/// generation settings, licence. Returns the names of those that were left out (weights in other
/// formats, subfolders), sorted. FileSystemError with the target's path.
std::vector<std::string> copy_other_files(const std::filesystem::path& from,
                                          const std::filesystem::path& to);

}  // namespace constrictor::io
