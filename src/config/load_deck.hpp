// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "data/specs.hpp"

namespace constrictor::config {

/// Reads a YAML deck, applies overrides ("quant.bits=3", in order), checks everything, and returns
/// plain numbers; nobody sees YAML after this. Order: preset of the method, file, overrides;
/// nothing from the environment. UserError in one sentence: place, key, what is allowed.
RunSpec load_deck(const std::string& path, const std::vector<std::string>& overrides = {});

/// The same for text in memory; `name` stands where messages name the file.
RunSpec parse_deck(const std::string& text, const std::string& name,
                   const std::vector<std::string>& overrides = {});

}  // namespace constrictor::config
