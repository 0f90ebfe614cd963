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

/// "quant.bits=3" replaces or adds one key. The value is YAML: 3, [a, b], {bits: 4}.
/// Below quant.layers all but the last name are the pattern: quant.layers.mlp.down_proj.bits=4.
void apply_override(DeckNode& root, const std::string& assignment);

}  // namespace constrictor::config
