// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "data/specs.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::exports {

struct ExportOptions {
  std::string run_dir;
  std::string format;  // compressed-tensors | gptq | dequantized | all
  std::string to;      // the folder; with `all` a folder in it for each format
};

/// Writes the quantized model for other programs: everything is checked and said beforehand, then
/// block by block, each layer read once for all formats. `spec` is the run's deck (its model's
/// path). UserError for what cannot be written, FileSystemError on a full disk; nothing is left
/// under a final name then.
void export_run(const RunSpec& spec, const ExportOptions& options, pipeline::Screen& screen);

}  // namespace constrictor::exports
