// SPDX-License-Identifier: Apache-2.0
#include "config/load_deck.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "config/presets.hpp"
#include "config/read_fields.hpp"

namespace constrictor::config {

namespace {

constexpr std::streamsize longest_deck = 1
                                         << 20;  // bytes; a model file given by mistake is no deck

/// The method stands first whatever its place in the file: its preset is what other keys refine.
void read_preset(const DeckNode& root, RunSpec& run) {
  const DeckNode* quant = root.find("quant");
  const DeckNode* method = quant == nullptr ? nullptr : quant->find("method");
  if (method == nullptr) return;
  DeckNode only_method, pruned;
  only_method.kind = pruned.kind = DeckNode::Kind::mapping;
  only_method.where = quant->where;
  pruned.where = root.where;
  only_method.entries.emplace_back("method", *method);
  pruned.entries.emplace_back("quant", std::move(only_method));
  ReadFields reader(Section(pruned, ""));
  reader.section("quant", [&](ReadFields& field) { visit_layer_keys(field, run.quant); });
  apply_preset(run.quant.method, run.quant);
}

}  // namespace

RunSpec read_deck(const DeckNode& root) {
  RunSpec run;
  read_preset(root, run);
  ReadFields reader(Section(root, ""));
  visit_deck(reader, run);
  reader.finish();
  return run;
}

RunSpec parse_deck(const std::string& text, const std::string& name,
                   const std::vector<std::string>& overrides) {
  DeckNode root = parse_tree(text, name);
  for (const std::string& assignment : overrides) apply_override(root, assignment);
  return read_deck(root);
}

std::string deck_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError(path + ": cannot open the deck: " + std::strerror(errno));
  std::string text(static_cast<std::size_t>(longest_deck) + 1, '\0');
  file.read(text.data(), longest_deck + 1);
  if (file.bad() || (file.fail() && !file.eof()))
    throw UserError(path + ": cannot read the deck: " + std::strerror(errno));
  if (file.gcount() > longest_deck) throw UserError(path + ": longer than 1 MiB, that is no deck");
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

RunSpec load_deck(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_deck(deck_text(path), path, overrides);
}

}  // namespace constrictor::config
