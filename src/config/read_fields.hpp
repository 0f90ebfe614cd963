// SPDX-License-Identifier: Apache-2.0
#pragma once
// The visitor of fields.hpp that fills specs from a deck. A key that the deck does not have leaves
// its value alone; everything wrong is a UserError with place, key and what is allowed.

#include <initializer_list>
#include <string_view>

#include "config/fields.hpp"
#include "config/section.hpp"
#include "data/words.hpp"

namespace constrictor::config {

class ReadFields {
 public:
  explicit ReadFields(Section section) : section_(std::move(section)) {}

  /// Visits a section below with visit(ReadFields&) and rejects the keys that were not asked for.
  template <class Visit>
  void section(const std::string& key, Visit&& visit) {
    ReadFields below(section_.below(key));
    visit(below);
    below.finish();
  }
  void finish() const { section_.finish(); }

  template <class Int>
  void integer(const std::string& key, Int& value, Index low, Index high, std::string_view) {
    if (const DeckNode* node = section_.take(key))
      value = static_cast<Int>(integer_of(*node, key, low, high));
  }
  /// An integer, or a section {average, choices} that leaves the width of each layer open.
  void width(const std::string& key, int& bits, WidthBudget& budget, Index low, Index high,
             std::string_view);
  void number(const std::string& key, double& value, double low, double high, std::string_view);
  void flag(const std::string& key, bool& value, std::string_view);
  // All texts of a deck are paths: ${NAME} in them comes from the environment.
  void text(const std::string& key, std::string& value, std::string_view);
  void required_text(const std::string& key, std::string& value, std::string_view);
  void texts(const std::string& key, std::vector<std::string>& values, std::string_view);
  void sha256(const std::string& key, std::string& value, std::string_view);

  using Words = std::vector<std::string_view>;
  template <class E>
  void word(const std::string& key, E& value, std::string_view, const Words& later) {
    Words allowed;
    for (const auto& [known, text] : EnumWords<E>::table) allowed.push_back(text);
    if (const DeckNode* node = section_.take(key))
      value = *parse_word<E>(word_of(*node, key, allowed, later));
  }
  void one_of(const std::string& key, std::string& value, const Words& allowed, std::string_view);
  /// false and true are called by words.
  void either(const std::string& key, bool& value, std::string_view no, std::string_view yes,
              std::string_view);
  /// A key whose feature is not in this version.
  void fixed(const std::string& key, std::string_view only);
  /// pattern -> {key: value}; values are checked here and kept as canonical text.
  using Overrides = std::vector<std::pair<std::string, std::map<std::string, std::string>>>;
  void layers(const std::string& key, Overrides& overrides);

 private:
  const std::string& scalar(const DeckNode& node, const std::string& key,
                            const std::string& what) const;
  std::string expanded(const DeckNode& node, const std::string& key) const;
  Index integer_of(const DeckNode& node, const std::string& key, Index low, Index high) const;
  std::string word_of(const DeckNode& node, const std::string& key, const Words& allowed,
                      const Words& later) const;

  Section section_;
};

}  // namespace constrictor::config
