// SPDX-License-Identifier: Apache-2.0
#include "config/sweep_deck.hpp"

#include <algorithm>
#include <filesystem>

#include "config/load_deck.hpp"
#include "config/section.hpp"

namespace constrictor::config {

namespace detail {
namespace {

std::string text_of(const DeckNode& node) {
  std::string text;
  switch (node.kind) {
    case DeckNode::Kind::empty:
      return "null";
    case DeckNode::Kind::scalar:
      return node.text;
    case DeckNode::Kind::list:
      for (const DeckNode& item : node.items) text += (text.empty() ? "" : ", ") + text_of(item);
      return "[" + text + "]";
    case DeckNode::Kind::mapping:
      for (const auto& [key, value] : node.entries)
        text += (text.empty() ? "" : ", ") + key + ": " + text_of(value);
      return "{" + text + "}";
  }
  return text;
}

const std::vector<DeckNode>& list_of(const DeckNode& node, const std::string& path,
                                     const char* example) {
  if (node.kind != DeckNode::Kind::list || node.items.empty())
    complain(node, path, std::string("a list expected, for example ") + example);
  return node.items;
}

const std::string& word_of(const DeckNode& node, const std::string& path) {
  if (node.kind != DeckNode::Kind::scalar || node.text.empty())
    complain(node, path, "a word expected");
  return node.text;
}

const DeckNode& required(Section& section, const std::string& key) {
  const DeckNode* node = section.take(key);
  if (node == nullptr)
    throw UserError(section.where() + ": " + section.path_of(key) +
                    ": missing, and has no default");
  return *node;
}

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

/// Number of a word in a list, or a complaint that tells which words there are.
std::size_t number_of(const DeckNode& node, const std::string& path, const std::string& what,
                      const std::string& word, const std::vector<std::string>& words) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end())
    complain(node, path, "'" + word + "' is no " + what + "; there are " + joined(words));
  return static_cast<std::size_t>(found - words.begin());
}

std::vector<std::string> keys_of_axis(Section& section) {
  const DeckNode* one = section.take("key");
  const DeckNode* many = section.take("keys");
  if ((one == nullptr) == (many == nullptr))
    throw UserError(section.where() + ": " + section.path_of("key") +
                    ": every axis has either key or keys");
  if (one != nullptr) return {word_of(*one, section.path_of("key"))};
  std::vector<std::string> keys;
  for (const DeckNode& item : list_of(*many, section.path_of("keys"), "[quant.bits, quant.alpha]"))
    keys.push_back(word_of(item, section.path_of("keys")));
  return keys;
}

AxisTree read_axis(const DeckNode& node, const std::string& path) {
  Section section(node, path);
  AxisTree tree;
  SweepAxis& axis = tree.axis;
  axis.keys = keys_of_axis(section);
  for (const std::string& key : axis.keys) {
    tree.paths.push_back(deck_path(key));
    if (tree.paths.back().empty())
      complain(node, path, "'" + key + "' is no key of a deck, section.key expected");
    if (key == "run.out") complain(node, path, "run.out cannot vary: a sweep has one folder");
  }
  const DeckNode* label = section.take("label");
  if (label != nullptr) {
    axis.label = word_of(*label, section.path_of("label"));
  } else if (axis.keys.size() > 1) {
    complain(node, path, "an axis of several keys needs a label");
  } else {
    axis.label = tree.paths[0].back();
  }
  const std::string values_path = section.path_of("values"), names_path = section.path_of("names");
  for (const DeckNode& item : list_of(required(section, "values"), values_path, "[2, 3]")) {
    if (axis.keys.size() == 1) {
      tree.values.push_back({item});
    } else if (item.kind != DeckNode::Kind::list || item.items.size() != axis.keys.size()) {
      complain(item, values_path,
               "every value must be a list of " + std::to_string(axis.keys.size()) +
                   ", one for each of " + joined(axis.keys));
    } else {
      tree.values.push_back(item.items);
    }
    std::string name;
    for (const DeckNode& value : tree.values.back())
      name += (name.empty() ? "" : "/") + text_of(value);
    axis.values.push_back(name);
  }
  if (const DeckNode* names = section.take("names")) {
    const auto& items = list_of(*names, names_path, "[small, large]");
    if (items.size() != axis.values.size())
      complain(*names, names_path,
               std::to_string(items.size()) + " names for " + std::to_string(axis.values.size()) +
                   " values");
    for (std::size_t i = 0; i < items.size(); ++i) axis.values[i] = word_of(items[i], names_path);
  }
  for (std::size_t i = 0; i < axis.values.size(); ++i)
    if (std::count(axis.values.begin(), axis.values.end(), axis.values[i]) > 1)
      complain(tree.values[i][0], values_path, "'" + axis.values[i] + "' stands here twice");
  section.finish();
  return tree;
}

void read_zip(const DeckNode& node, const std::vector<std::string>& labels, SweepTree& tree) {
  const char* example = "[[model, bits]]";
  std::vector<bool> taken(labels.size(), false);
  for (const DeckNode& group : list_of(node, "zip", example)) {
    std::vector<std::size_t> axes;
    for (const DeckNode& item : list_of(group, "zip", example)) {
      const std::size_t axis = number_of(item, "zip", "axis", word_of(item, "zip"), labels);
      if (taken[axis]) complain(item, "zip", "'" + labels[axis] + "' is zipped twice");
      const std::size_t length = tree.axes[axis].values.size(),
                        first = axes.empty() ? length : tree.axes[axes[0]].values.size();
      if (length != first)
        complain(item, "zip",
                 "'" + labels[axis] + "' has " + std::to_string(length) + " values, '" +
                     labels[axes[0]] + "' has " + std::to_string(first));
      taken[axis] = true;
      axes.push_back(axis);
    }
    tree.groups.push_back(std::move(axes));
  }
  for (std::size_t axis = 0; axis < labels.size(); ++axis)
    if (!taken[axis]) tree.groups.push_back({axis});
}

Exclusion read_exclusion(const DeckNode& node, const std::vector<std::string>& labels,
                         const SweepTree& tree) {
  if (node.kind != DeckNode::Kind::mapping || node.entries.empty())
    complain(node, "exclude", "every entry names axes and values, for example {bits: 2}");
  Exclusion exclusion;
  exclusion.place.where = node.where;
  for (const auto& [label, value] : node.entries) {
    const std::size_t axis = number_of(value, "exclude", "axis", label, labels);
    const std::string path = "exclude." + label;
    std::vector<std::size_t> numbers;
    const std::vector<DeckNode> alone{value};
    for (const DeckNode& item : value.kind == DeckNode::Kind::list ? value.items : alone)
      numbers.push_back(number_of(item, path, "value of this axis", word_of(item, path),
                                  tree.axes[axis].axis.values));
    exclusion.values.emplace_back(axis, std::move(numbers));
  }
  return exclusion;
}

}  // namespace

SweepTree read_sweep_tree(const DeckNode& root, const std::string& name) {
  Section section(root, "");
  SweepTree tree;
  const DeckNode& base = required(section, "base");
  if (base.kind == DeckNode::Kind::mapping) {
    tree.base = base;
  } else {
    const auto path = std::filesystem::path(name).parent_path() / word_of(base, "base");
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
      complain(base, "base", "there is no deck " + path.string());
    tree.base = parse_tree(deck_text(path.string()), path.string());
  }
  std::vector<std::string> labels;
  for (const DeckNode& item :
       list_of(required(section, "axes"), "axes", "[{key: quant.bits, values: [2, 3]}]")) {
    tree.axes.push_back(read_axis(item, "axes"));
    const std::string& label = tree.axes.back().axis.label;
    if (std::find(labels.begin(), labels.end(), label) != labels.end())
      complain(item, "axes", "two axes are called '" + label + "'; give one a label");
    labels.push_back(label);
  }
  static const DeckNode nothing;
  if (const DeckNode* zip = section.take("zip"))
    read_zip(*zip, labels, tree);
  else
    for (std::size_t axis = 0; axis < labels.size(); ++axis) tree.groups.push_back({axis});
  if (const DeckNode* exclude = section.take("exclude"))
    for (const DeckNode& item : list_of(*exclude, "exclude", "[{method: rtn, bits: 2}]"))
      tree.exclusions.push_back(read_exclusion(item, labels, tree));
  Section cell = section.below("cell");
  for (std::size_t axis = 0; axis < labels.size(); ++axis)
    if (const DeckNode* how = cell.take(labels[axis]))
      tree.axes[axis].axis.cell = number_of(*how, "cell." + labels[axis], "reduction",
                                            word_of(*how, "cell"), {"best", "mean"}) == 0
                                      ? CellReduction::best
                                      : CellReduction::mean;
  cell.finish();
  section.take("table");  // how analysis/ lays the table out, which checks it; no run depends on it
  section.finish();
  return tree;
}

}  // namespace detail

}  // namespace constrictor::config
