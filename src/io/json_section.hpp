// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reading JSON that somebody else wrote: every complaint names the file and the key.
// Internal to io/ (it includes nlohmann/json).

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::io {

/// Parses a whole file; UserError when it cannot be read, is larger than `limit` bytes or not JSON.
nlohmann::json read_json(const std::filesystem::path& path,
                         std::size_t limit = std::size_t{1} << 24);

/// One JSON object of a file.
class JsonSection {
 public:
  /// `where` is put in front of keys in messages: "rope_scaling.".
  JsonSection(std::filesystem::path path, nlohmann::json object, std::string where = "");

  bool has(std::string_view key) const;      // present and not null
  bool is_null(std::string_view key) const;  // present, and null
  /// Positive whole number up to 2^31 - 1.
  Index size(std::string_view key) const;
  Index size_or(std::string_view key, Index fallback) const;
  double number(std::string_view key) const;
  double number_or(std::string_view key, double fallback) const;
  bool flag_or(std::string_view key, bool fallback) const;
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string fallback) const;
  std::vector<std::string> texts(std::string_view key) const;
  JsonSection section(std::string_view key) const;
  const nlohmann::json& object() const { return object_; }

  /// Throws UserError "<path>: <sentence>".
  [[noreturn]] void refuse(const std::string& sentence) const;
  std::string quoted(std::string_view key) const { return "\"" + where_ + std::string(key) + "\""; }

 private:
  const nlohmann::json& at(std::string_view key, const char* wanted) const;
  std::filesystem::path path_;
  nlohmann::json object_;
  std::string where_;
};

}  // namespace constrictor::io
