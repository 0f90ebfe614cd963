// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/deck_tree.hpp"
#include "data/specs.hpp"

namespace constrictor::config {

/// Reads a YAML deck, applies overrides ("quant.bits=3", in order), checks everything, and returns
/// plain numbers; nobody sees YAML after this. Order: preset of the method, file, overrides.
/// Nothing comes from the environment but the ${FOLDER}s in paths (expand_variables.hpp). UserError
/// in one sentence: place, key, what is allowed.
RunSpec load_deck(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same for text in memory; `name` stands where messages name the file.
RunSpec parse_deck(const std::string& text, const std::string& name,
                   const std::vector<std::string>& overrides = {});

/// The same for a tree, which may have been put together from several files.
RunSpec read_deck(const DeckNode& root);

/// The text of a deck's file; UserError when it cannot be read or is too long for a deck.
std::string deck_text(const std::string& path);

}  // namespace constrictor::config
