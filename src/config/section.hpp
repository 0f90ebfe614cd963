// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/deck_tree.hpp"

namespace constrictor::config {

/// Reads one mapping of a deck and remembers which keys were asked for; the rest is rejected.
class Section {
 public:
  /// `path` is the name of the section, "" at the top. The node must outlive the section.
  Section(const DeckNode& node, std::string path);

  /// The value of a key, or null when the deck does not have it.
  const DeckNode* take(const std::string& key);
  /// The section below a key, empty when the deck does not have it.
  Section below(const std::string& key);
  /// UserError when there are keys that nobody asked for, with the list of known ones.
  void finish() const;

  std::string path_of(const std::string& key) const;
  const DeckNode& node() const { return *node_; }
  /// Where the section stands; for one that the deck does not have, where it would stand.
  const std::string& where() const { return where_; }

 private:
  const DeckNode* node_;
  std::string path_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace constrictor::config
