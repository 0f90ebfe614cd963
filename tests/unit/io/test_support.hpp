// SPDX-License-Identifier: Apache-2.0
#pragma once
// Temporary folders, files by bytes, small safetensors files, and the text of expected errors.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "io/safetensors.hpp"

namespace constrictor::io {

/// A folder of its own for one test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "constrictor_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  EXPECT_TRUE(file.flush().good()) << path;
}

inline void replace_in_file(const std::filesystem::path& path, const std::string& from,
                            const std::string& to) {
  std::string text = read_bytes(path);
  const auto at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  write_bytes(path, text.replace(at, from.size(), to));
}

/// What `action` says when it throws an Error; "" and a test failure when it does not.
template <class Error, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << (text)

/// A safetensors file from its JSON header and data.
inline std::string safetensors_image(const std::string& json, const std::string& data) {
  const std::uint64_t length = json.size();
  std::string image(8, '\0');
  std::memcpy(image.data(), &length, 8);
  return image + json + data;
}

struct TestTensor {
  std::string name, dtype, shape, bytes;  // shape "[2, 3]"
};

inline std::string safetensors_image(const std::vector<TestTensor>& tensors) {
  std::string json = R"({"__metadata__": {"format": "pt"})", data;
  for (const TestTensor& tensor : tensors) {
    const std::size_t end = data.size() + tensor.bytes.size();
    json += ", \"" + tensor.name + "\": {\"dtype\": \"" + tensor.dtype +
            "\", \"shape\": " + tensor.shape + ", \"data_offsets\": [" +
            std::to_string(data.size()) + ", " + std::to_string(end) + "]}";
    data += tensor.bytes;
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  return safetensors_image(json, data);
}

inline std::vector<TestTensor> read_all(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::vector<TestTensor> tensors;
  for (const TensorEntry& entry : file.header().tensors) {
    const auto bytes = file.bytes(entry);
    tensors.push_back({entry.name, entry.dtype, shape_text(entry.shape),
                       std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())});
  }
  return tensors;
}

/// Models that Transformers wrote (tests/oracle).
inline std::filesystem::path oracle(const std::string& name) {
  return std::filesystem::path(CONSTRICTOR_SOURCE_DIR) / "tests" / "oracle" / name;
}

/// A copy of such a model that a test may spoil.
inline void copy_model(const std::string& name, const std::filesystem::path& to) {
  for (const auto& entry : std::filesystem::directory_iterator(oracle(name)))
    if (entry.path().extension() != ".h5")
      std::filesystem::copy(entry.path(), to / entry.path().filename());
}

}  // namespace constrictor::io
