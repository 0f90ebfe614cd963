// SPDX-License-Identifier: Apache-2.0
#pragma once
// A sweep deck: one deck and the keys that vary.
//
//   base: ../demo/int2.yaml            # a deck, relative to this file; or the deck itself
//   axes:
//     - {key: quant.method, values: [gptq, turboboa]}
//     - label: ordering                # several keys that move together
//       keys: [quant.column_order, quant.row_order]
//       values: [[original, original], [descending, descending]]
//       names: [plain, sorted]         # in tables; without them the text of the values
//   zip: [[method, bits]]              # axes that advance together; all others are crossed
//   exclude: [{method: gptq, ordering: [sorted]}]
//   cell: {ordering: best}             # best | mean: axes that one cell of a table takes together
//   table: {rows: [method], columns: [bits], value: perplexity}   # for analysis/ alone

#include <string>
#include <vector>

#include "config/deck_tree.hpp"
#include "data/sweep.hpp"

namespace constrictor::config {

/// The runs of a sweep deck with their specs; run_id, folder and prediction are left empty. The
/// first axis varies slowest, axes under `cell` fastest, so that a table fills row by row.
/// UserError in one sentence (place, key, what is allowed), for decks that cannot be read too.
Sweep load_sweep(const std::string& path);

/// The same for text in memory; `base:` is searched relative to the folder of `name`.
Sweep parse_sweep(const std::string& text, const std::string& name);

namespace detail {

/// An axis with what its values put into the deck.
struct AxisTree {
  SweepAxis axis;
  std::vector<std::vector<std::string>> paths;  // [keys]
  std::vector<std::vector<DeckNode>> values;    // [values][keys]
};
/// A run is left out when, for every axis named, its value is among these.
struct Exclusion {
  DeckNode place;                                                        // for messages
  std::vector<std::pair<std::size_t, std::vector<std::size_t>>> values;  // axis, values
};
struct SweepTree {
  DeckNode base;
  std::vector<AxisTree> axes;
  std::vector<std::vector<std::size_t>> groups;  // axes that advance together; each axis in one
  std::vector<Exclusion> exclusions;
};

SweepTree read_sweep_tree(const DeckNode& root, const std::string& name);

/// Value number of every axis, for every run that is not excluded, in the order of work.
std::vector<std::vector<std::size_t>> crossed(const SweepTree& tree);

}  // namespace detail
}  // namespace constrictor::config
