// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace constrictor::config {

/// "${MODELS}/Llama-3-8B" with the folder that the environment names, so that one deck serves all
/// machines. A '$' without a brace is a letter like any other. UserError (without a place, the
/// caller knows it) names a variable that is not set or is empty, or a brace that is not closed.
std::string expand_variables(const std::string& path);

}  // namespace constrictor::config
