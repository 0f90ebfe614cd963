// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>

#include "data/model_spec.hpp"

namespace constrictor::io {

/// Whether a model whose weights are stored as codes is welcome. Who quantizes wants the original.
enum class Codes { refused, allowed };

/// Reads config.json of a Hugging Face folder. UserError naming file and key for what is missing,
/// out of range or not supported; `ModelSpec::dtype` is left for the weights to decide.
ModelSpec read_model_config(const std::filesystem::path& path, Codes codes = Codes::refused);

}  // namespace constrictor::io
