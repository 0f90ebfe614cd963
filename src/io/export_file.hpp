// SPDX-License-Identifier: Apache-2.0
#pragma once
// constrictor.json in an exported folder: where its weights come from and what storing them cost.

#include <filesystem>
#include <string>
#include <vector>

#include "io/quantization_config.hpp"

namespace constrictor::io {

struct ExportFacts {
  std::string format;
  std::string run;  // path of the run folder
  std::string run_id, model_sha256, sample_sha256;
  std::string stored_as;  // type of the scales
  struct Layer {
    std::string name;
    StoredScheme scheme;
    double rounding = 0;  // |Q' - Q| / |Q|
  };
  std::vector<Layer> layers;
  struct Runtime {
    std::string name;
    bool opens = true;
    std::string words;
  };
  std::vector<Runtime> runtimes;
  std::vector<std::string> not_copied;  // files of the model folder
};

void write_export_file(const std::filesystem::path& folder, const ExportFacts& facts);

}  // namespace constrictor::io
