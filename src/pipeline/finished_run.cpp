// SPDX-License-Identifier: Apache-2.0
#include "pipeline/finished_run.hpp"

#include <algorithm>
#include <filesystem>

#include "core/error.hpp"
#include "io/run_folder.hpp"

namespace constrictor::pipeline {

void require_complete(const std::string& run_dir, const io::Checkpoint& checkpoint) {
  std::string missing;
  const auto finished = io::finished_blocks(run_dir);
  for (Index b = 0; b < checkpoint.spec().blocks; ++b)
    if (std::find(finished.begin(), finished.end(), b) == finished.end())
      missing += (missing.empty() ? "" : ", ") + std::to_string(b);
  if (!missing.empty())
    throw UserError(run_dir + ": the run is not complete, blocks missing: " + missing +
                    "; run `constrictor quantize` with its deck again");
  const auto facts = io::read_run_file(std::filesystem::path(run_dir) / "run.h5").provenance;
  const auto hash = facts.find("sample_sha256");
  if (hash != facts.end() && std::get<std::string>(hash->second) != checkpoint.sample_sha256())
    throw UserError(run_dir + ": the run was made from another model than the one in " +
                    checkpoint.folder().string());
}

}  // namespace constrictor::pipeline
