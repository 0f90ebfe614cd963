// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>

#include "data/model_spec.hpp"
#include "data/tokens.hpp"

namespace constrictor::io {

/// Reads a *.tokens.h5 (README, "Files") and checks it against itself: schema, shape, hash of the
/// tokens, every id below the vocabulary. UserError, one sentence that names the file, otherwise.
Tokens read_tokens(const std::filesystem::path& path);

/// Checks tokens against the model and the deck: vocabulary, positions, tokenizer (skipped when
/// `model_tokenizer_sha256` is empty: the model folder has no tokenizer.json) and the hash that the
/// deck asks for (skipped when `wanted_sha256` is empty). UserError otherwise.
void check_tokens(const Tokens& tokens, const ModelSpec& spec,
                  const std::string& model_tokenizer_sha256, const std::string& wanted_sha256);

}  // namespace constrictor::io
