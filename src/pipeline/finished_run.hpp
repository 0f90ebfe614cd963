// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "io/checkpoint.hpp"

namespace constrictor::pipeline {

/// UserError unless every block of the run is there and the run was made from this very model.
void require_complete(const std::string& run_dir, const io::Checkpoint& checkpoint);

}  // namespace constrictor::pipeline
