// SPDX-License-Identifier: Apache-2.0
#pragma once
// Everything that is known, and everything that can be refused, before a byte is written.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "export/layer_format.hpp"
#include "io/checkpoint.hpp"

namespace constrictor::exports {

struct ExportPlan {
  std::vector<LayerPlan> layers;                // block by block
  std::vector<std::string> raw;                 // tensors that are passed on byte by byte
  std::vector<std::string> linear_unquantized;  // modules among them that are linear layers
  double damping = 0;                           // of the first layer
};

/// UserError naming run, block and layer when the run cannot be stored at all: layers that the
/// model does not have, zero points that are no codes.
ExportPlan plan_export(const std::string& run_dir, const io::Checkpoint& checkpoint);

/// The formats that `word` names: one, or three for "all". UserError for an unknown word, and for a
/// format that some layer does not fit.
std::vector<std::unique_ptr<LayerFormat>> formats_for(const std::string& word,
                                                      const ExportPlan& plan, DType model_dtype);

/// All tensors of the folder, the raw ones first.
std::vector<io::PlannedTensor> planned_tensors(const ExportPlan& plan, const LayerFormat& format,
                                               const io::Checkpoint& checkpoint);

/// "28 layers: 2 bits, one scale a row, asymmetric; 1 layer: ..."
std::string scheme_words(const ExportPlan& plan);

}  // namespace constrictor::exports
