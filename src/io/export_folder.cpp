// SPDX-License-Identifier: Apache-2.0
#include "io/export_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& sentence,
                       const std::error_code& error) {
  throw FileSystemError(path.string() + ": " + sentence + ": " + error.message());
}

bool is_ours(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / export_record, ignored);
}

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) fail(folder, "cannot be removed", error);
}

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, "cannot be written", error);
}

fs::path without_trailing_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

/// Formats of weights that other programs write beside safetensors.
bool is_weights(const fs::path& path) {
  constexpr std::array<std::string_view, 9> extensions = {
      ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".msgpack", ".h5", ".onnx"};
  const std::string extension = path.extension().string();
  const std::string name = path.filename().string();
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end() ||
         name.ends_with(".index.json");
}

}  // namespace

void require_replaceable(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status))
    throw UserError(path.string() + ": is there already and is no folder; choose another one");
  const bool empty = fs::is_empty(path, error);
  if (error) fail(path, "cannot be read", error);
  if (!empty && !is_ours(path))
    throw UserError(path.string() +
                    ": is there already and is no export of constrictor; choose another folder or "
                    "remove this one");
}

ExportFolder::ExportFolder(const fs::path& path)
    : path_(without_trailing_slash(path)), partial_(partial_path(path_)) {
  require_replaceable(path_);
  require_replaceable(partial_);
  std::error_code error;
  fs::create_directories(partial_, error);
  if (error) fail(path_, "cannot be created", error);
  lock_ = Descriptor(::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock_.get() < 0) raise_file_system_error(path_, "cannot be created");
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw UserError(path_.string() + ": another process is writing this export right now");
  }
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(partial_, error))
      remove_folder(entry.path());
    // The mark goes first, so that what a kill leaves behind is known as ours.
    write_text_atomically(partial_ / export_record, "{}\n");
  } catch (...) {
    fs::remove_all(partial_, error);
    throw;
  }
}

ExportFolder::~ExportFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

void ExportFolder::commit() {
  std::error_code error;
  if (fs::is_directory(path_, error) && !fs::is_empty(path_, error)) {
    // The old one steps aside first: a folder cannot be renamed onto one with contents.
    const fs::path old = path_.string() + ".replaced.partial";
    if (is_ours(old)) remove_folder(old);
    rename_folder(path_, old);
    rename_folder(partial_, path_);
    committed_ = true;
    remove_folder(old);
  } else {
    rename_folder(partial_, path_);
    committed_ = true;
  }
}

std::vector<std::string> copy_other_files(const fs::path& from, const fs::path& to) {
  std::vector<std::string> left_out;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(from, error)) {
    const fs::path name = entry.path().filename();
    std::error_code ignored;
    if (name == "config.json" || name == export_record) continue;
    if (!entry.is_regular_file(ignored) || is_weights(name)) {
      if (name.extension() != ".safetensors" && name != "model.safetensors.index.json")
        left_out.push_back(name.string());
      continue;
    }
    std::error_code copied;
    fs::copy_file(entry.path(), to / name, copied);
    if (copied) fail(to / name, "cannot be written", copied);
  }
  if (error) throw UserError(from.string() + ": cannot be read: " + error.message());
  std::sort(left_out.begin(), left_out.end());
  return left_out;
}

}  // namespace constrictor::io
