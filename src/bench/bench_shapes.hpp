// SPDX-License-Identifier: Apache-2.0
#pragma once
// Shapes of models that people quantize, for `constrictor bench`. Nothing is read: what config.json
// of these models says stands here.

#include <string>
#include <vector>

#include "data/model_spec.hpp"

namespace constrictor::bench {

/// Names, in the order of the table.
std::vector<std::string> shape_names();

/// UserError with the names that there are.
ModelSpec shape_of_model(const std::string& name);

}  // namespace constrictor::bench
