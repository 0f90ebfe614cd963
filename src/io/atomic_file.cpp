// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.hpp"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "io/descriptor.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view cannot_write = "cannot be written";

/// File or folder to disk. EINVAL and EROFS say that this file system cannot do it: not our
/// failure.
void synchronise(const fs::path& path, const fs::path& named) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) raise_file_system_error(named, cannot_write);
  if (::fsync(file.get()) != 0 && errno != EINVAL && errno != EROFS)
    raise_file_system_error(named, cannot_write);
}

}  // namespace

void raise_file_system_error(const fs::path& path, std::string_view sentence) {
  throw FileSystemError(path.string() + ": " + std::string(sentence) + ": " +
                        std::generic_category().message(errno));
}

fs::path partial_path(const fs::path& path) { return fs::path(path.string() + ".partial"); }

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), partial_(partial_path(path_)) {}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  // Emptied first: a library that failed to close the file would else keep the disk full.
  if (::truncate(partial_.c_str(), 0) == 0) ::unlink(partial_.c_str());
}

void AtomicFile::commit() {
  synchronise(partial_, path_);
  if (::rename(partial_.c_str(), path_.c_str()) != 0) raise_file_system_error(path_, cannot_write);
  committed_ = true;
  synchronise(path_.has_parent_path() ? path_.parent_path() : fs::path("."), path_);
}

void write_text_atomically(const fs::path& path, std::string_view text) {
  AtomicFile target(path);
  {
    const Descriptor file(
        ::open(target.partial().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.get() < 0) raise_file_system_error(path, cannot_write);
    while (!text.empty()) {
      const ssize_t written = ::write(file.get(), text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) raise_file_system_error(path, cannot_write);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  target.commit();
}

void write_h5_atomically(const fs::path& path, const std::function<void(H5File&)>& fill) {
  AtomicFile target(path);
  try {
    H5File file = H5File::create(target.partial());
    fill(file);
    file.close();
  } catch (const LibraryError& error) {
    throw FileSystemError(path.string() + ": " + std::string(cannot_write) + ": " + error.what());
  }
  target.commit();
}

}  // namespace constrictor::io
