// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// Prints a run folder: the run's provenance, then a table with one row per layer (relative loss,
/// damping, retries, method used, seconds) and the scores. Needs no ranks and no model.
void inspect_run(const std::string& run_dir, Screen& screen);

}  // namespace constrictor::pipeline
