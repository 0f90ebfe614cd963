// SPDX-License-Identifier: Apache-2.0
#pragma once
// blocks/NNNN.h5: what quantization made of one block (README, "Files").

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/matrix.hpp"
#include "core/timer.hpp"
#include "data/quantized_layer.hpp"

namespace constrictor::io {

/// The statistics of one layer as the solver used them; stacked by head, empty where there are
/// none.
struct LayerStatistics {
  Matrix<float> input_hessian;   // H_in  [(1 or heads) in x in]
  Matrix<float> input_drift;     // D     the same
  Matrix<float> output_hessian;  // H_out [heads d x d]
  Matrix<float> weight;          // W     [out x in], so that other solvers need no model
};

/// The layer's input for the first tokens, [tokens x in], in both paths.
struct LayerActivations {
  Matrix<float> quantized;
  Matrix<float> full;
};

struct BlockRecord {
  Index index = 0;
  std::vector<QuantizedLayer> layers;
  double output_error = 0;           // mean squared, of the block's output against full precision
  double relative_output_error = 0;  // the same divided by the mean square of the latter
  double output_cosine = 0;
  SecondsByPhase seconds_by_phase;
  std::int64_t peak_memory_bytes = 0;
  std::int64_t peak_device_memory_bytes = 0;  // 0 when no device took part
  std::map<std::string, LayerStatistics> statistics;    // by layer name, if asked for
  std::map<std::string, LayerActivations> activations;  // by layer name, if asked for
};

/// Writes atomically; FileSystemError otherwise. Equal records give equal bytes.
void write_block(const std::filesystem::path& path, const BlockRecord& record);
/// Everything that `write_block` wrote, bit for bit. UserError when the file is damaged or has a
/// schema that this program does not know.
BlockRecord read_block(const std::filesystem::path& path);

}  // namespace constrictor::io
