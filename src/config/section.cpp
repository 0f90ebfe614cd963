// SPDX-License-Identifier: Apache-2.0
#include "config/section.hpp"

#include <algorithm>

namespace constrictor::config {

Section::Section(const DeckNode& node, std::string path)
    : node_(&node), path_(std::move(path)), where_(node.where) {
  if (node.kind == DeckNode::Kind::scalar || node.kind == DeckNode::Kind::list)
    complain(node, path_, "a section with keys expected");
}

const DeckNode* Section::take(const std::string& key) {
  known_.push_back(key);
  return node_->find(key);
}

Section Section::below(const std::string& key) {
  static const DeckNode nothing;
  const DeckNode* node = take(key);
  if (node != nullptr) return Section(*node, path_of(key));
  Section absent(nothing, path_of(key));
  absent.where_ = where_;
  return absent;
}

void Section::finish() const {
  for (const auto& [key, value] : node_->entries) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string list;
    for (const std::string& word : known_) list += (list.empty() ? "" : ", ") + word;
    complain(value, path_of(key), "unknown key; known keys are " + list);
  }
}

std::string Section::path_of(const std::string& key) const {
  return path_.empty() ? key : path_ + "." + key;
}

}  // namespace constrictor::config
