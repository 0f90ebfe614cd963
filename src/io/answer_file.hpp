// SPDX-License-Identifier: Apache-2.0
#pragma once
// Answers to a request file: log-likelihoods and accuracies, requests/<name>.h5 of a run folder or
// a file of the user's choice; while they are not complete, <name>.unfinished.h5 beside it.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/requests.hpp"

namespace constrictor::io {

/// What answers depend on, by name: requests_sha256, model, products, ...
using AnswerFacts = std::map<std::string, std::string>;

/// "piqa.unfinished.h5" of "piqa.h5".
std::filesystem::path unfinished_path(const std::filesystem::path& path);

/// Names of the complete answers in the folder requests/ of a run, sorted.
std::vector<std::string> answered_requests(const std::filesystem::path& run_folder);

/// Writes answers under their unfinished name, atomically.
void write_unfinished(const std::filesystem::path& path, const AnswerFacts& facts,
                      const RequestAnswers& answers);
/// What an earlier process left under the unfinished name; nothing when there is no such file, it
/// is damaged, or it was made under other facts or for another number of requests.
std::optional<RequestAnswers> read_unfinished(const std::filesystem::path& path,
                                              const AnswerFacts& facts, Index requests);

/// Writes complete answers, atomically, and removes the unfinished ones.
void write_answers(const std::filesystem::path& path, const AnswerFacts& facts,
                   const Requests& requests, const RequestAnswers& answers,
                   const std::vector<TaskScore>& scores);

}  // namespace constrictor::io
