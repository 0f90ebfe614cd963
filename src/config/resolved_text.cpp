// SPDX-License-Identifier: Apache-2.0
#include "config/resolved_text.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "config/write_fields.hpp"

namespace constrictor::config {

namespace {

constexpr std::size_t note_column = 36;

class DeckText : public WriteFields {
 public:
  std::string lines;

  template <class Visit>
  void section(const std::string& key, Visit&& visit) {
    lines += indent_ + key + ":\n";
    indent_ += "  ";
    visit(*this);
    indent_.resize(indent_.size() - 2);
  }

  void layers(const std::string& key, const Overrides& overrides) override {
    if (overrides.empty())
      return put(key, "{}", "overrides by pattern: \"mlp.down_proj\": {bits: 4}");
    lines += indent_ + key + ":\n";
    for (const auto& [pattern, values] : overrides) {
      std::string list;
      for (const auto& [name, value] : values)
        list += (list.empty() ? "" : ", ") + name + ": " + value;
      lines += indent_ + "  " + yaml_text(pattern) + ": {" + list + "}\n";
    }
  }

 protected:
  void put(const std::string& key, const std::string& value, std::string_view note) override {
    std::string line = indent_ + key + ": " + value;
    if (!note.empty()) {
      line.resize(std::max(line.size() + 1, note_column), ' ');
      line += "# " + std::string(note);
    }
    lines += line + "\n";
  }

  std::string indent_;
};

/// Keys that came after the first version, with the value that leaves a run as it was before them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> unchanged_when_off = {
    {{"refine_gain", "0"},
     {"refine_zeros", "false"},
     {"polish", "0"},
     {"beam", "1"},
     {"gather", "block"},
     {"metric_positions", "0"},
     {"alpha_rule", "fixed"},
     {"held_out_lanes", "2"},
     {"rounding_steps", "2000"},
     {"rounding_rate", "0.015"},
     {"rounding_lambda", "0"}}};

/// Notes are for people, and keys of later versions or switched off are not in use: none of them
/// may move the run id.
class IdentityText : public DeckText {
 public:
  void fixed(const std::string&, std::string_view) override {}

 protected:
  void put(const std::string& key, const std::string& value, std::string_view) override {
    const std::pair<std::string_view, std::string_view> pair(key, value);
    if (std::find(unchanged_when_off.begin(), unchanged_when_off.end(), pair) ==
        unchanged_when_off.end())
      DeckText::put(key, value, "");
  }
};

}  // namespace

std::string resolved_text(const RunSpec& run) {
  DeckText deck;
  visit_deck(deck, run);
  return deck.lines;
}

std::string run_identity_text(const RunSpec& run, const std::string& model_sha256,
                              const std::string& tokens_sha256) {
  IdentityText identity;
  identity.section("identity", [&](WriteFields& field) {
    field.integer("schema", 1, 0, 0, "");
    field.sha256("model_sha256", model_sha256, "");
    field.sha256("tokens_sha256", tokens_sha256, "");
    field.integer("sequences", run.calibration.sequences, 0, 0, "");
    field.word("reduction", run.run.reduction, "", {});
    field.integer("lanes", run.run.lanes, 0, 0, "");
    field.word("products", run.run.products, "", {});
  });
  visit_quant(identity, run);
  return identity.lines;
}

}  // namespace constrictor::config
