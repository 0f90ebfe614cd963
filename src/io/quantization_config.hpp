// SPDX-License-Identifier: Apache-2.0
#pragma once
// "quantization_config" of a config.json: which layers of a model folder are stored as codes, and
// how. Read from other people's folders, written into ours.

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::io {

/// compressed_tensors: <name>.weight_packed ..., format "pack-quantized"; gptq: <name>.qweight ...
enum class Packing { compressed_tensors, gptq };

/// How one layer's codes are stored.
struct StoredScheme {
  int bits = 4;
  Index group_size = 0;   // inputs that share a scale; 0 = a whole row
  bool symmetric = true;  // the zero point is 2^(bits - 1) everywhere
  friend auto operator<=>(const StoredScheme&, const StoredScheme&) = default;
};

struct QuantizationConfig {
  Packing packing = Packing::compressed_tensors;

  /// compressed_tensors. A target is a module's name, "re:" and a regular expression that fits the
  /// start of the name, or "Linear", which all layers are.
  struct Group {
    std::vector<std::string> targets;
    StoredScheme scheme;
  };
  std::vector<Group> groups;
  std::vector<std::string> ignore;

  /// gptq. `overrides`: regular expression and scheme, nothing for a layer left as it is.
  bool zero_minus_one = false;  // checkpoint_format "gptq" stores z - 1, "gptq_v2" z
  StoredScheme base;
  std::vector<std::pair<std::string, std::optional<StoredScheme>>> overrides;

  /// Of a layer by its full name ("model.layers.0.mlp.up_proj"); nothing where it is not quantized.
  /// UserError when an expression is none.
  std::optional<StoredScheme> scheme_of(const std::string& module) const;
};

/// Nothing when config.json has no "quantization_config". UserError, one sentence, for what is not
/// supported: other methods, quantized activations or caches, floating-point codes.
std::optional<QuantizationConfig> read_quantization_config(const std::filesystem::path& config);

/// What a gptq folder says beyond the layout.
struct QuantizerFacts {
  std::string program;  // "constrictor:0.1.0"
  double damping = 0;
};

/// The source's config.json with `quantization` in it, and quantize_config.json for gptq; a plain
/// copy when there is nothing to add.
void write_model_config(const std::filesystem::path& source_folder,
                        const std::filesystem::path& folder,
                        const std::optional<QuantizationConfig>& quantization,
                        const QuantizerFacts& facts);

}  // namespace constrictor::io
