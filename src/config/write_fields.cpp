// SPDX-License-Identifier: Apache-2.0
#include "config/write_fields.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace constrictor::config {

std::string number_text(double value) {
  std::array<char, 32> text = {};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return std::string(text.data(), end);
}

std::string budget_text(const WidthBudget& budget) {
  std::string list;
  for (const int bits : budget.choices) list += (list.empty() ? "" : ", ") + std::to_string(bits);
  return "{average: " + number_text(budget.average) + ", choices: [" + list + "]}";
}

std::string yaml_text(const std::string& text) {
  constexpr std::string_view plain_start = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_";
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_.-+=0123456789";
  const bool safe = !text.empty() && plain_start.find(text[0]) != std::string_view::npos &&
                    text.find_first_not_of(plain) == std::string::npos;
  for (std::string_view reserved :
       {"null", "Null", "NULL", "true", "false", "yes", "no", "on", "off"})
    if (text == reserved) return "\"" + text + "\"";
  if (safe) return text;
  std::string quoted = "\"";
  for (char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (code < 0x20 || code == 0x7f) {
      std::array<char, 8> escape = {};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", code);
      quoted += escape.data();
    } else {
      quoted += c;  // UTF-8 passes
    }
  }
  return quoted + "\"";
}

void WriteFields::texts(const std::string& key, const std::vector<std::string>& values,
                        std::string_view note) {
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ", ") + yaml_text(value);
  put(key, "[" + list + "]", note);
}

namespace {

class CollectFields : public WriteFields {
 public:
  std::map<std::string, std::string> texts_by_key;
  void layers(const std::string&, const Overrides&) override {}

 protected:
  void put(const std::string& key, const std::string& text, std::string_view) override {
    texts_by_key[key] = text;
  }
};

}  // namespace

std::map<std::string, std::string> layer_key_texts(const QuantSpec& spec) {
  CollectFields fields;
  visit_layer_keys(fields, spec);
  return fields.texts_by_key;
}

}  // namespace constrictor::config
