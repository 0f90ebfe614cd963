// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "config/load_deck.hpp"
#include "config/sweep_deck.hpp"

namespace constrictor::config {

namespace detail {
namespace {

constexpr std::size_t most_runs = 1000000;

bool matches(const Exclusion& exclusion, const std::vector<std::size_t>& run) {
  return std::all_of(exclusion.values.begin(), exclusion.values.end(), [&](const auto& entry) {
    const auto& [axis, values] = entry;
    return std::find(values.begin(), values.end(), run[axis]) != values.end();
  });
}

/// Groups in the order in which they vary, slowest first: as in the deck, those that a cell takes
/// together last.
std::vector<std::vector<std::size_t>> ordered_groups(const SweepTree& tree) {
  auto groups = tree.groups;
  const auto in_cell = [&](const std::vector<std::size_t>& group) {
    return std::all_of(group.begin(), group.end(), [&](std::size_t axis) {
      return tree.axes[axis].axis.cell != CellReduction::none;
    });
  };
  std::sort(groups.begin(), groups.end(), [&](const auto& a, const auto& b) {
    return std::pair(in_cell(a), *std::min_element(a.begin(), a.end())) <
           std::pair(in_cell(b), *std::min_element(b.begin(), b.end()));
  });
  return groups;
}

}  // namespace

std::vector<std::vector<std::size_t>> crossed(const SweepTree& tree) {
  const auto groups = ordered_groups(tree);
  std::size_t count = 1;
  for (const auto& group : groups) {
    count *= tree.axes[group[0]].values.size();
    if (count > most_runs)
      throw UserError(tree.axes[0].values[0][0].where + ": axes: more than a million runs");
  }
  std::vector<std::size_t> matched(tree.exclusions.size(), 0);
  std::vector<std::vector<std::size_t>> runs;
  for (std::size_t number = 0; number < count; ++number) {
    std::vector<std::size_t> run(tree.axes.size(), 0);
    std::size_t rest = number;
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
      const std::size_t length = tree.axes[(*group)[0]].values.size();
      for (const std::size_t axis : *group) run[axis] = rest % length;
      rest /= length;
    }
    bool excluded = false;
    for (std::size_t i = 0; i < matched.size(); ++i)
      if (matches(tree.exclusions[i], run)) ++matched[i], excluded = true;
    if (!excluded) runs.push_back(std::move(run));
  }
  for (std::size_t i = 0; i < matched.size(); ++i)
    if (matched[i] == 0) complain(tree.exclusions[i].place, "exclude", "excludes no run");
  if (runs.empty()) complain(tree.exclusions[0].place, "exclude", "leaves no run");
  return runs;
}

}  // namespace detail

Sweep parse_sweep(const std::string& text, const std::string& name) {
  const detail::SweepTree tree = detail::read_sweep_tree(parse_tree(text, name), name);
  Sweep sweep;
  sweep.deck = name;
  for (const auto& axis : tree.axes) sweep.axes.push_back(axis.axis);
  for (const auto& values : detail::crossed(tree)) {
    DeckNode deck = tree.base;
    SweepRun& run = sweep.runs.emplace_back();
    for (std::size_t a = 0; a < tree.axes.size(); ++a) {
      const detail::AxisTree& axis = tree.axes[a];
      for (std::size_t k = 0; k < axis.paths.size(); ++k)
        place(deck, axis.paths[k], axis.values[values[a]][k]);
      run.names.push_back(axis.axis.values[values[a]]);
    }
    run.spec = read_deck(deck);
  }
  sweep.out = sweep.runs[0].spec.run.out;
  return sweep;
}

Sweep load_sweep(const std::string& path) { return parse_sweep(deck_text(path), path); }

}  // namespace constrictor::config
