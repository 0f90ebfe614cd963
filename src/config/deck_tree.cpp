// SPDX-License-Identifier: Apache-2.0
#include "config/deck_tree.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "core/error.hpp"

namespace constrictor::config {

namespace {

constexpr int deepest = 8;  // also ends aliases that contain themselves

std::string at_line(const std::string& name, const YAML::Mark& mark) {
  return mark.is_null() ? name : name + ":" + std::to_string(mark.line + 1);
}

/// Where a node lies: line numbers in a file, the assignment itself in an override.
using Locate = std::string (*)(const std::string& name, const YAML::Mark& mark);

DeckNode converted(const YAML::Node& yaml, const std::string& name, Locate locate,
                   const std::string& path, int depth) {
  DeckNode node;
  node.where = locate(name, yaml.Mark());
  if (depth > deepest) complain(node, path, "nested too deeply");
  switch (yaml.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      break;
    case YAML::NodeType::Scalar:
      node.kind = DeckNode::Kind::scalar;
      node.text = yaml.Scalar();
      node.quoted = yaml.Tag() == "!";
      break;
    case YAML::NodeType::Sequence:
      node.kind = DeckNode::Kind::list;
      for (const YAML::Node& item : yaml)
        node.items.push_back(converted(item, name, locate, path, depth + 1));
      break;
    case YAML::NodeType::Map:
      node.kind = DeckNode::Kind::mapping;
      for (const auto& entry : yaml) {
        DeckNode key;
        key.where = locate(name, entry.first.Mark());
        if (!entry.first.IsScalar()) complain(key, path, "a key must be a word");
        const std::string word = entry.first.Scalar();
        const std::string full = path.empty() ? word : path + "." + word;
        if (node.find(word) != nullptr) complain(key, full, "stands here a second time");
        DeckNode value = converted(entry.second, name, locate, full, depth + 1);
        value.where = key.where;  // the line of the key, also for blocks that start below it
        node.entries.emplace_back(word, std::move(value));
      }
      break;
  }
  return node;
}

/// All documents of a text; parser errors become one sentence.
std::vector<YAML::Node> load_all(const std::string& text, const std::string& name, Locate locate) {
  try {
    return YAML::LoadAll(text);
  } catch (const YAML::Exception& error) {
    throw UserError(locate(name, error.mark) + ": not YAML: " + error.msg);
  }
}

}  // namespace

const DeckNode* DeckNode::find(const std::string& key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

void complain(const DeckNode& node, const std::string& path, const std::string& what) {
  const bool repeat = !path.empty() && !node.where_names_key;
  throw UserError(node.where + ": " + (repeat ? path + ": " : "") + what);
}

DeckNode parse_tree(const std::string& text, const std::string& name) {
  const std::vector<YAML::Node> documents = load_all(text, name, at_line);
  if (documents.empty()) throw UserError(name + ": the deck is empty");
  if (documents.size() > 1) throw UserError(name + ": one document expected, found several (---)");
  DeckNode root = converted(documents[0], name, at_line, "", 0);
  if (root.kind != DeckNode::Kind::mapping)
    throw UserError(root.where + ": sections such as 'model:' expected");
  root.where = name;
  return root;
}

std::vector<std::string> deck_path(const std::string& path) {
  std::vector<std::string> keys;
  for (std::size_t start = 0, dot = 0; dot != std::string::npos; start = dot + 1) {
    dot = path.find('.', start);
    keys.push_back(path.substr(start, dot == std::string::npos ? dot : dot - start));
    if (keys.back().empty()) return {};
  }
  if (keys.size() < 2) return {};
  if (keys.size() > 4 && keys[0] == "quant" && keys[1] == "layers") {
    const std::size_t start = std::string("quant.layers.").size();
    keys = {"quant", "layers", path.substr(start, path.rfind('.') - start), keys.back()};
  }
  return keys;
}

void place(DeckNode& root, const std::vector<std::string>& keys, DeckNode value) {
  DeckNode* node = &root;
  for (const std::string& key : keys) {
    if (node->kind == DeckNode::Kind::empty) node->kind = DeckNode::Kind::mapping;
    if (node->kind != DeckNode::Kind::mapping) {
      std::string path;
      for (const std::string& word : keys) path += (path.empty() ? "" : ".") + word;
      complain(value, path, "there is no section to hold this key");
    }
    auto& entries = node->entries;
    auto found = std::find_if(entries.begin(), entries.end(),
                              [&](const auto& entry) { return entry.first == key; });
    if (found == entries.end()) {
      found = entries.emplace(found, key, DeckNode{});
      found->second.where = value.where;
    }
    node = &found->second;
  }
  *node = std::move(value);
}

void apply_override(DeckNode& root, const std::string& assignment) {
  const std::string where = "--set " + assignment;
  const auto equals = assignment.find('=');
  const std::string path = assignment.substr(0, equals);
  const std::vector<std::string> keys = deck_path(path);
  if (equals == std::string::npos || keys.empty())
    throw UserError(where + ": section.key=value expected, for example quant.bits=3");

  const auto only_name = [](const std::string& name, const YAML::Mark&) { return name; };
  const auto documents = load_all(assignment.substr(equals + 1), where, only_name);
  DeckNode value;
  if (!documents.empty()) value = converted(documents[0], where, only_name, path, 0);
  value.where = where;
  value.where_names_key = true;
  place(root, keys, std::move(value));
}

}  // namespace constrictor::config
