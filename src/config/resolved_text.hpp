// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "data/specs.hpp"

namespace constrictor::config {

/// The whole deck as canonical YAML, every key with its value and meaning; `parse_deck` of it gives
/// the same RunSpec. (run_dir is an option of the command line and not part of a deck.)
std::string resolved_text(const RunSpec& run);

/// What the run id is hashed from: everything that decides the result's bits, and nothing else: no
/// paths, no machine, no evaluation. Keys of later versions enter only when they are in use, so
/// that the ids of today's runs stay.
std::string run_identity_text(const RunSpec& run, const std::string& model_sha256,
                              const std::string& tokens_sha256);

}  // namespace constrictor::config
