// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the packed formats share: scales and zero points as they are stored.

#include <string>

#include "export/layer_format.hpp"

namespace constrictor::exports {

/// |s' (C - z) - s (C - z)|^2, s' = s rounded to `dtype`, and |s (C - z)|^2.
Rounding scale_rounding(const QuantizedLayer& layer, DType dtype);

/// Zero points as unsigned codes [out x groups].
Matrix<std::uint8_t> zero_codes(const QuantizedLayer& layer);

/// "scale 1e+05 is beyond float16" or empty.
std::string scale_obstacle(const LayerPlan& plan, DType dtype);

/// "bfloat16"
std::string dtype_word(DType dtype);

/// A regular expression that fits these layers of a block at the end of a module's name, all in
/// one:
/// ".*layers\.(0|3)\.mlp\.up_proj$". `plans` differ in the block only.
std::string expression_for(const std::vector<const LayerPlan*>& plans);
/// Expressions for all plans of one scheme, a layer name each.
std::vector<std::string> expressions_for(const std::vector<LayerPlan>& plans,
                                         const io::StoredScheme& scheme);
/// The schemes in use, the most frequent first.
std::vector<io::StoredScheme> schemes_of(const std::vector<LayerPlan>& plans);

}  // namespace constrictor::exports
