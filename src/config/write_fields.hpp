// SPDX-License-Identifier: Apache-2.0
#pragma once
// The visitors of fields.hpp that write specs.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/fields.hpp"
#include "data/words.hpp"

namespace constrictor::config {

/// The shortest text that reads back to the same double.
std::string number_text(double value);
/// {average: 2.5, choices: [2, 3, 4]}
std::string budget_text(const WidthBudget& budget);
/// A YAML scalar: plain where that is unambiguous, otherwise in double quotes.
std::string yaml_text(const std::string& text);

/// Turns every value into YAML text; what happens with (key, text, note) is the derived class'
/// choice.
class WriteFields {
 public:
  using Words = std::vector<std::string_view>;
  using Overrides = std::vector<std::pair<std::string, std::map<std::string, std::string>>>;

  virtual ~WriteFields() = default;

  void integer(const std::string& key, Index value, Index, Index, std::string_view note) {
    put(key, std::to_string(value), note);
  }
  void width(const std::string& key, int bits, const WidthBudget& budget, Index, Index,
             std::string_view note) {
    put(key, budget.on() ? budget_text(budget) : std::to_string(bits), note);
  }
  void number(const std::string& key, double value, double, double, std::string_view note) {
    put(key, number_text(value), note);
  }
  void flag(const std::string& key, bool value, std::string_view note) {
    put(key, value ? "true" : "false", note);
  }
  void text(const std::string& key, const std::string& value, std::string_view note) {
    put(key, yaml_text(value), note);
  }
  void required_text(const std::string& key, const std::string& value, std::string_view note) {
    put(key, yaml_text(value), note);
  }
  void sha256(const std::string& key, const std::string& value, std::string_view note) {
    put(key, value.empty() ? "\"\"" : yaml_text(value), note);
  }
  void texts(const std::string& key, const std::vector<std::string>& values, std::string_view note);
  /// Without a note of its own an enum is explained by its words.
  template <class E>
  void word(const std::string& key, E value, std::string_view note, const Words&) {
    put(key, std::string(constrictor::word(value)),
        note.empty() ? words_of<E>() : std::string(note));
  }
  void one_of(const std::string& key, const std::string& value, const Words&,
              std::string_view note) {
    put(key, value, note);
  }
  void either(const std::string& key, bool value, std::string_view no, std::string_view yes,
              std::string_view note) {
    put(key, std::string(value ? yes : no), note);
  }
  virtual void fixed(const std::string& key, std::string_view only) {
    put(key, std::string(only), "other values: later versions");
  }
  virtual void layers(const std::string& key, const Overrides& overrides) = 0;

 protected:
  virtual void put(const std::string& key, const std::string& text, std::string_view note) = 0;
};

/// Text of every key that may stand below quant.layers.<pattern>.
std::map<std::string, std::string> layer_key_texts(const QuantSpec& spec);

}  // namespace constrictor::config
