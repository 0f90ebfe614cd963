// SPDX-License-Identifier: Apache-2.0
#pragma once
// A deck as a plain tree in which every node knows where it comes from. yaml-cpp ends here.

#include <string>
#include <utility>
#include <vector>

namespace constrictor::config {

struct DeckNode {
  enum class Kind { empty, scalar, list, mapping };
  Kind kind = Kind::empty;
  std::string text;                                       // scalar
  bool quoted = false;                                    // a quoted scalar is text, never a number
  std::vector<DeckNode> items;                            // list
  std::vector<std::pair<std::string, DeckNode>> entries;  // mapping, in the order of the file

  std::string where;             // "deck.yaml:12" or "--set quant.bits=9"
  bool where_names_key = false;  // the latter: messages need not repeat the key

  const DeckNode* find(const std::string& key) const;
};

/// Throws UserError "<where>: <path>: <what>".
[[noreturn]] void complain(const DeckNode& node, const std::string& path, const std::string& what);

/// Parses YAML text; `name` stands before line numbers. UserError for bad syntax, duplicate keys,
/// several documents, anything but a mapping at the top.
DeckNode parse_tree(const std::string& text, const std::string& name);

/// "quant.bits" -> {quant, bits}. Below quant.layers all but the last word are the pattern:
/// quant.layers.mlp.down_proj.bits. Empty when the text is no section.key.
std::vector<std::string> deck_path(const std::string& path);

/// Replaces or adds the value at `keys`; sections that are missing stand where the value stands.
void place(DeckNode& root, const std::vector<std::string>& keys, DeckNode value);

/// "quant.bits=3" replaces or adds one key. The value is YAML: 3, [a, b], {bits: 4}.
void apply_override(DeckNode& root, const std::string& assignment);

}  // namespace constrictor::config
