// SPDX-License-Identifier: Apache-2.0
#include "io/json_section.hpp"

#include <cmath>
#include <utility>

#include "core/error.hpp"
#include "io/mapped_file.hpp"

namespace constrictor::io {

nlohmann::json read_json(const std::filesystem::path& path, std::size_t limit) {
  const MappedFile file(path);
  if (file.bytes().size() > limit)
    throw UserError(path.string() + ": " + std::to_string(file.bytes().size()) +
                    " bytes are too many for this file");
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  try {
    return nlohmann::json::parse(text, text + file.bytes().size());
  } catch (const nlohmann::json::parse_error& error) {
    throw UserError(path.string() + ": is not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception&) {  // a number beyond double
    throw UserError(path.string() + ": is not valid JSON");
  }
}

JsonSection::JsonSection(std::filesystem::path path, nlohmann::json object, std::string where)
    : path_(std::move(path)), object_(std::move(object)), where_(std::move(where)) {
  if (!object_.is_object())
    refuse(where_.empty() ? "is not a JSON object"
                          : "\"" + where_.substr(0, where_.size() - 1) + "\" must be an object");
}

bool JsonSection::has(std::string_view key) const {
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

bool JsonSection::is_null(std::string_view key) const {
  const auto found = object_.find(key);
  return found != object_.end() && found->is_null();
}

const nlohmann::json& JsonSection::at(std::string_view key, const char* wanted) const {
  if (!has(key)) refuse("has no " + quoted(key) + ", which must be " + wanted);
  return *object_.find(key);
}

Index JsonSection::size(std::string_view key) const {
  const char* wanted = "a whole number from 1 to 2147483647";
  const nlohmann::json& value = at(key, wanted);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() < 1 ||
      value.get<std::uint64_t>() > 2147483647)
    refuse(quoted(key) + " must be " + wanted);
  return value.get<Index>();
}

Index JsonSection::size_or(std::string_view key, Index fallback) const {
  return has(key) ? size(key) : fallback;
}

double JsonSection::number(std::string_view key) const {
  const nlohmann::json& value = at(key, "a number");
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    refuse(quoted(key) + " must be a number");
  return value.get<double>();
}

double JsonSection::number_or(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool JsonSection::flag_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const nlohmann::json& value = at(key, "true or false");
  if (!value.is_boolean()) refuse(quoted(key) + " must be true or false");
  return value.get<bool>();
}

std::string JsonSection::text(std::string_view key) const {
  const nlohmann::json& value = at(key, "a word");
  if (!value.is_string()) refuse(quoted(key) + " must be a word");
  return value.get<std::string>();
}

std::string JsonSection::text_or(std::string_view key, std::string fallback) const {
  return has(key) ? text(key) : fallback;
}

std::vector<std::string> JsonSection::texts(std::string_view key) const {
  const nlohmann::json& list = at(key, "a list of words");
  if (!list.is_array()) refuse(quoted(key) + " must be a list of words");
  std::vector<std::string> words;
  for (const nlohmann::json& word : list) {
    if (!word.is_string()) refuse(quoted(key) + " must be a list of words");
    words.push_back(word.get<std::string>());
  }
  return words;
}

JsonSection JsonSection::section(std::string_view key) const {
  return JsonSection(path_, at(key, "an object"), where_ + std::string(key) + ".");
}

void JsonSection::refuse(const std::string& sentence) const {
  throw UserError(path_.string() + ": " + sentence);
}

}  // namespace constrictor::io
