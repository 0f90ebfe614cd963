// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <filesystem>
#include <string>

#include "data/model_spec.hpp"
#include "data/requests.hpp"

namespace constrictor::io {

/// Reads a *.requests.h5 (`constrictor tasks --help` has the schema) and checks it against itself:
/// schema, shapes, offsets, hash, ids, tasks, documents. UserError, one sentence that names the
/// file, otherwise.
Requests read_requests(const std::filesystem::path& path);

/// Checks requests against the model: vocabulary, positions, tokenizer (skipped when
/// `model_tokenizer_sha256` is empty). UserError otherwise.
void check_requests(const Requests& requests, const ModelSpec& spec,
                    const std::string& model_tokenizer_sha256);

/// "piqa" of "tasks/piqa.requests.h5".
std::string request_file_name(const std::filesystem::path& path);

}  // namespace constrictor::io
