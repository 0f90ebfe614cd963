// SPDX-License-Identifier: Apache-2.0
#include "config/read_fields.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/expand_variables.hpp"
#include "config/presets.hpp"
#include "config/write_fields.hpp"

namespace constrictor::config {

namespace {

/// The whole text as a number; nothing when anything else stands there.
template <class Number>
std::optional<Number> parsed(const std::string& text) {
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string joined(const ReadFields::Words& words) {
  std::string list;
  for (std::string_view word : words) {
    if (!list.empty()) list += ", ";
    list += word;
  }
  return list;
}

bool contains(const ReadFields::Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const std::string& ReadFields::scalar(const DeckNode& node, const std::string& key,
                                      const std::string& what) const {
  const std::string path = section_.path_of(key);
  if (node.kind == DeckNode::Kind::empty) complain(node, path, "has no value, expected " + what);
  if (node.kind == DeckNode::Kind::list) complain(node, path, "is a list, expected " + what);
  if (node.kind == DeckNode::Kind::mapping) complain(node, path, "is a section, expected " + what);
  return node.text;
}

Index ReadFields::integer_of(const DeckNode& node, const std::string& key, Index low,
                             Index high) const {
  const std::string path = section_.path_of(key);
  const std::string& text = scalar(node, key, "an integer");
  const auto value = node.quoted ? std::nullopt : parsed<Index>(text);
  if (!value) complain(node, path, "'" + text + "' is not an integer");
  if (*value < low || *value > high)
    complain(node, path,
             text + " is out of range, allowed " +
                 (high == no_limit ? std::to_string(low) + " or more"
                                   : std::to_string(low) + ".." + std::to_string(high)));
  return *value;
}

void ReadFields::number(const std::string& key, double& value, double low, double high,
                        std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  const std::string path = section_.path_of(key);
  const std::string& text = scalar(*node, key, "a number");
  const auto found = node->quoted ? std::nullopt : parsed<double>(text);
  if (!found || std::isnan(*found)) complain(*node, path, "'" + text + "' is not a number");
  if (!(*found >= low && *found <= high))
    complain(*node, path,
             text + " is out of range, allowed " + number_text(low) + ".." + number_text(high));
  value = *found;
}

void ReadFields::width(const std::string& key, int& bits, WidthBudget& budget, Index low,
                       Index high, std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  if (node->kind != DeckNode::Kind::mapping) {
    bits = static_cast<int>(integer_of(*node, key, low, high));
    budget = {};
    return;
  }
  ReadFields below(section_.below(key));
  const std::string path = section_.path_of(key);
  WidthBudget found;
  const DeckNode* choices = below.section_.take("choices");
  if (choices == nullptr || choices->kind != DeckNode::Kind::list || choices->items.size() < 2)
    complain(choices == nullptr ? *node : *choices, path + ".choices",
             "two widths or more expected, for example [2, 3, 4]");
  for (const DeckNode& item : choices->items)
    found.choices.push_back(static_cast<int>(below.integer_of(item, "choices", low, high)));
  std::sort(found.choices.begin(), found.choices.end());
  if (std::adjacent_find(found.choices.begin(), found.choices.end()) != found.choices.end())
    complain(*choices, path + ".choices", "a width stands here twice");
  if (below.section_.node().find("average") == nullptr)
    complain(*node, path + ".average", "missing, and has no default");
  below.number("average", found.average, found.choices.front(), found.choices.back(), "");
  below.finish();
  budget = found;
  bits = static_cast<int>(std::ceil(found.average));
}

void ReadFields::flag(const std::string& key, bool& value, std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  const std::string& text = scalar(*node, key, "true or false");
  if (node->quoted || (text != "true" && text != "false"))
    complain(*node, section_.path_of(key), "'" + text + "' is neither true nor false");
  value = text == "true";
}

std::string ReadFields::expanded(const DeckNode& node, const std::string& key) const {
  try {
    return expand_variables(node.text);
  } catch (const UserError& error) {
    complain(node, section_.path_of(key), error.what());
  }
}

void ReadFields::text(const std::string& key, std::string& value, std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  scalar(*node, key, "a text");
  value = expanded(*node, key);
  if (value.empty()) complain(*node, section_.path_of(key), "must not be empty");
}

void ReadFields::required_text(const std::string& key, std::string& value, std::string_view note) {
  text(key, value, note);
  if (value.empty())
    throw UserError(section_.where() + ": " + section_.path_of(key) +
                    ": missing, and has no default");
}

void ReadFields::texts(const std::string& key, std::vector<std::string>& values, std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  if (node->kind != DeckNode::Kind::list)
    complain(*node, section_.path_of(key), "a list expected, for example [a, b]");
  values.clear();
  for (const DeckNode& item : node->items) {
    if (item.kind != DeckNode::Kind::scalar || item.text.empty())
      complain(item, section_.path_of(key), "every item must be a text");
    values.push_back(expanded(item, key));
  }
}

void ReadFields::sha256(const std::string& key, std::string& value, std::string_view) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  const std::string& text = scalar(*node, key, "64 hexadecimal digits");
  const bool hexadecimal = text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!text.empty() && (text.size() != 64 || !hexadecimal))
    complain(*node, section_.path_of(key),
             "'" + text + "' is not a SHA-256 of 64 hexadecimal digits");
  value = text;
}

std::string ReadFields::word_of(const DeckNode& node, const std::string& key, const Words& allowed,
                                const Words& later) const {
  const std::string& text = scalar(node, key, "one of " + joined(allowed));
  if (contains(later, text))
    complain(node, section_.path_of(key),
             "'" + text + "' is not in this version; allowed: " + joined(allowed));
  if (!contains(allowed, text))
    complain(node, section_.path_of(key),
             "'" + text + "' is not known; allowed: " + joined(allowed));
  return text;
}

void ReadFields::one_of(const std::string& key, std::string& value, const Words& allowed,
                        std::string_view) {
  if (const DeckNode* node = section_.take(key)) value = word_of(*node, key, allowed, {});
}

void ReadFields::either(const std::string& key, bool& value, std::string_view no,
                        std::string_view yes, std::string_view) {
  if (const DeckNode* node = section_.take(key)) value = word_of(*node, key, {no, yes}, {}) == yes;
}

void ReadFields::fixed(const std::string& key, std::string_view only) {
  const DeckNode* node = section_.take(key);
  if (node == nullptr) return;
  const std::string& text = scalar(*node, key, std::string(only));
  if (text != only)
    complain(*node, section_.path_of(key),
             "'" + text + "' is not in this version; allowed: " + std::string(only));
}

void ReadFields::layers(const std::string& key, Overrides& overrides) {
  Section patterns = section_.below(key);
  overrides.clear();
  for (const auto& [pattern, node] : patterns.node().entries) {
    ReadFields fields(patterns.below(pattern));
    QuantSpec checked;
    visit_layer_keys(fields, checked);
    fields.finish();
    if (checked.budget.on())
      complain(*node.find("bits"), patterns.path_of(pattern) + ".bits",
               "a budget holds for all layers together and stands in quant.bits; here a width, "
               "2..8");
    const std::map<std::string, std::string> all = layer_key_texts(checked);
    std::map<std::string, std::string> given;
    for (const auto& [name, value] : node.entries)
      if (all.contains(name)) given[name] = all.at(name);
    overrides.emplace_back(pattern, std::move(given));
  }
}

}  // namespace constrictor::config
