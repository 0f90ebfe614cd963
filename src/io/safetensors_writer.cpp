// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/safetensors_header.hpp"

namespace constrictor::io {
namespace {

constexpr std::string_view cannot_write = "cannot be written";
constexpr std::uint64_t send_every = 64 << 20;

std::uint64_t element_bits(const PlannedTensor& tensor) {
  const std::uint64_t bits = bits_of_dtype(tensor.dtype);
  CONSTRICTOR_REQUIRE(bits > 0, tensor.name, tensor.dtype);
  return bits;
}

std::string file_name(std::size_t number, std::size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number + 1, count);
  return name;
}

/// Length field and JSON, padded so that the tensors start at a multiple of 8 bytes.
std::string header_of(const nlohmann::json& header) {
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(text.size()) >> (8 * i) & 0xff);
  return bytes + text;
}

}  // namespace

std::uint64_t bytes_of(const PlannedTensor& tensor) {
  std::uint64_t bits = element_bits(tensor);
  for (const Index extent : tensor.shape) bits *= static_cast<std::uint64_t>(extent);
  return bits / 8;
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path folder,
                                     std::vector<PlannedTensor> tensors, std::uint64_t limit)
    : folder_(std::move(folder)), tensors_(std::move(tensors)) {
  std::uint64_t filled = limit;  // the first tensor opens the first file
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const std::uint64_t size = bytes_of(tensors_[i]);
    if (files_.empty() || (filled > 0 && filled + size > limit)) {
      files_.emplace_back();
      filled = 0;
    }
    filled += size;
    files_.back().tensors.push_back(i);
  }
  CONSTRICTOR_REQUIRE(!files_.empty());
  for (std::size_t f = 0; f < files_.size(); ++f) {
    files_[f].path = folder_ / file_name(f, files_.size());
    start(files_[f]);
    for (const std::size_t i : files_[f].tensors) places_.at(tensors_[i].name).file = f;
  }
  if (files_.size() > 1) write_index();
}

/// Large elements first: readers map the file and want every tensor at a multiple of its element.
void SafetensorsWriter::start(File& file) {
  std::stable_sort(file.tensors.begin(), file.tensors.end(), [&](std::size_t a, std::size_t b) {
    return element_bits(tensors_[a]) > element_bits(tensors_[b]);
  });
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t end = 0;
  for (const std::size_t i : file.tensors) {
    const PlannedTensor& tensor = tensors_[i];
    const std::uint64_t size = bytes_of(tensor);
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + size}}};
    const bool fresh = places_.emplace(tensor.name, Place{0, end, size, 0}).second;
    CONSTRICTOR_REQUIRE(fresh, tensor.name);
    end += size;
  }
  const std::string bytes = header_of(header);
  for (const std::size_t i : file.tensors) places_.at(tensors_[i].name).begin += bytes.size();
  file.size = bytes.size() + end;

  file.descriptor =
      Descriptor(::open(file.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.descriptor.get() < 0) raise_file_system_error(file.path, cannot_write);
  // The system call, not posix_fallocate: that one fills the file by hand where it is not
  // supported.
  if (::fallocate(file.descriptor.get(), 0, 0, static_cast<off_t>(file.size)) != 0 &&
      errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
    raise_file_system_error(file.path, cannot_write);
  write_at(file, std::as_bytes(std::span(bytes)), 0);
}

void SafetensorsWriter::write_at(const File& file, std::span<const std::byte> bytes,
                                 std::uint64_t position) const {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(file.descriptor.get(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) raise_file_system_error(file.path, cannot_write);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    position += static_cast<std::uint64_t>(written);
  }
}

void SafetensorsWriter::write(const std::string& name, std::span<const std::byte> bytes,
                              std::uint64_t offset) {
  Place& place = places_.at(name);
  CONSTRICTOR_REQUIRE(offset + bytes.size() <= place.bytes, name, offset, bytes.size(),
                      place.bytes);
  File& file = files_[place.file];
  write_at(file, bytes, place.begin + offset);
  place.written += bytes.size();
  file.unsent += bytes.size();
  if (file.unsent < send_every) return;
  // The disk works while the next tensor is made; else all of it waits for finish().
  ::sync_file_range(file.descriptor.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  file.unsent = 0;
}

void SafetensorsWriter::finish() {
  for (const auto& [name, place] : places_)
    CONSTRICTOR_REQUIRE(place.written == place.bytes, name, place.written, place.bytes);
  for (File& file : files_) {
    if (::fsync(file.descriptor.get()) != 0 && errno != EINVAL && errno != EROFS)
      raise_file_system_error(file.path, cannot_write);
    file.descriptor = Descriptor();
  }
}

std::uint64_t SafetensorsWriter::bytes() const {
  std::uint64_t sum = 0;
  for (const File& file : files_) sum += file.size;
  return sum;
}

void SafetensorsWriter::write_index() const {
  nlohmann::json map = nlohmann::json::object();
  std::uint64_t total = 0;
  for (const auto& [name, place] : places_) {
    map[name] = files_[place.file].path.filename().string();
    total += place.bytes;
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_text_atomically(folder_ / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace constrictor::io
