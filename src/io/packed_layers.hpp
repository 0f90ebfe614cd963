// SPDX-License-Identifier: Apache-2.0
#pragma once
// Weights that a model folder stores as codes: compressed-tensors "pack-quantized" and GPTQ.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/matrix.hpp"
#include "data/model_spec.hpp"
#include "io/model_files.hpp"
#include "io/quantization_config.hpp"

namespace constrictor::io {

class PackedLayers {
 public:
  PackedLayers() = default;  // of a folder without codes
  explicit PackedLayers(QuantizationConfig config) : config_(std::move(config)) {}

  /// True when `files` hold codes in place of this weight ("model.layers.0.mlp.up_proj.weight").
  bool holds(const ModelFiles& files, const std::string& weight) const;

  /// Presence, types and shapes of what stands for a weight [out x in]. UserError otherwise.
  /// Remembers the shape for `load`.
  void check(const ModelFiles& files, const std::string& weight, Index out, Index in);

  /// s (C - z), exactly, [out x in]. `owner` ("block 3, ") starts the NumericalError about a NaN or
  /// Inf among the scales.
  Matrix<float> load(const ModelFiles& files, const std::string& weight,
                     const std::string& owner) const;

  /// The type that the model computes in, where the codes tell: that of compressed-tensors' scales.
  std::optional<DType> dtype(const ModelFiles& files, const std::string& weight) const;

  /// "compressed-tensors, 28 layers" or "" when there are none.
  std::string words() const;

 private:
  struct Layer {
    StoredScheme scheme;
    Index out = 0, in = 0;
    Index groups() const {
      return scheme.group_size > 0 ? (in + scheme.group_size - 1) / scheme.group_size : 1;
    }
  };
  struct Parts;
  void check_compressed_tensors(const ModelFiles& files, const std::string& module,
                                const Layer& layer) const;
  void check_gptq(const ModelFiles& files, const std::string& module, const Layer& layer) const;
  Parts compressed_tensors_parts(const ModelFiles& files, const std::string& module,
                                 const Layer& layer, const std::string& owner) const;
  Parts gptq_parts(const ModelFiles& files, const std::string& module, const Layer& layer,
                   const std::string& owner) const;

  std::optional<QuantizationConfig> config_;
  std::map<std::string, Layer> layers_;  // by module
};

}  // namespace constrictor::io
