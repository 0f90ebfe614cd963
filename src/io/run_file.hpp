// SPDX-License-Identifier: Apache-2.0
#pragma once
// run.h5: where a run comes from, links to its blocks, and its scores (README, "Files").

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/matrix.hpp"
#include "data/scores.hpp"

namespace constrictor::io {

/// Named facts in the order of their names: attributes of run.h5, numbers of a log line.
using Fact = std::variant<std::string, std::int64_t, double>;
using Facts = std::map<std::string, Fact>;
using Provenance = Facts;

struct RunFile {
  Provenance provenance;
  std::vector<Index> blocks;             // finished; each becomes a link to blocks/NNNN.h5
  std::map<std::string, Scores> scores;  // by Scores::dataset
  std::vector<std::string> requests;     // answered; each becomes a link to requests/<name>.h5
};

/// "0007.h5"
std::string block_file_name(Index block);

/// Writes the whole file anew, atomically.
void write_run_file(const std::filesystem::path& path, const RunFile& run);
/// UserError when it is missing, damaged or of another schema.
RunFile read_run_file(const std::filesystem::path& path);

}  // namespace constrictor::io
