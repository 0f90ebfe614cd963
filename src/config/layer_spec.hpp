// SPDX-License-Identifier: Apache-2.0
#pragma once
// The deck's `quant.layers`: overrides for the layers whose name matches a pattern.

#include <string>
#include <string_view>
#include <vector>

#include "data/specs.hpp"

namespace constrictor::config {

/// True when `pattern` matches all of `name`; '*' stands for any run of characters.
bool matches(std::string_view pattern, std::string_view name);

/// The spec of layer `layer_name` ("mlp.down_proj") of block `block`: every override whose pattern
/// matches that name or "<block>.<name>" is applied, later ones win. An override that changes the
/// method brings the preset of that method along. `overrides` of the result is empty. UserError
/// where the result asks for a beam with sequential drift, or to refine zero points that are fixed
/// by symmetry.
QuantSpec layer_spec(const QuantSpec& quant, Index block, const std::string& layer_name);

/// UserError for a pattern that matches none of the model's layers (full names, "3.mlp.down_proj").
void require_patterns_match(const QuantSpec& quant, const std::vector<std::string>& full_names);

/// UserError unless the group size divides the layer's number of inputs.
void require_groups_fit(const QuantSpec& spec, const std::string& layer_name, Index inputs);

/// UserError for what only the CPU can do yet, when `device` is cuda.
void require_device_can(const std::string& device, const QuantSpec& spec,
                        const std::string& layer_name);

}  // namespace constrictor::config
