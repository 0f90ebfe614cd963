// SPDX-License-Identifier: Apache-2.0
#pragma once
// How one layer's codes are laid out for other programs: formats.cpp has a class for each format.

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "data/model_spec.hpp"
#include "data/quantized_layer.hpp"
#include "io/quantization_config.hpp"
#include "io/safetensors_writer.hpp"

namespace constrictor::exports {

/// One layer, as it will be stored. G = groups().
struct LayerPlan {
  Index block = 0;
  std::string name;    // in its block: "mlp.up_proj"
  std::string module;  // in the model's files: "model.layers.3.mlp.up_proj"
  Role role = Role::query;
  Index out = 0, in = 0;
  io::StoredScheme scheme;
  float largest_scale = 0;
  DType weight_dtype = DType::float32;  // of the source's weight

  Index groups() const { return scheme.group_size > 0 ? in / scheme.group_size : 1; }
  /// "block 3 mlp.up_proj"
  std::string words() const { return "block " + std::to_string(block) + " " + name; }
};

/// What storing has changed: |Q' - Q|^2 and |Q|^2, Q' being what a reader gets, before it rounds
/// products to its own type.
struct Rounding {
  double error = 0, size = 0;
  double relative() const { return size > 0 ? std::sqrt(error / size) : 0; }
};

class LayerFormat {
 public:
  virtual ~LayerFormat() = default;
  /// "compressed-tensors", as on the command line.
  virtual std::string word() const = 0;
  /// What the scales (dequantized: the weights) are stored as, for messages.
  virtual std::string stored_as() const = 0;
  virtual std::vector<io::PlannedTensor> tensors(const LayerPlan& plan) const = 0;
  /// Why this layer cannot be stored, as the end of a sentence; empty when it can.
  virtual std::string obstacle(const LayerPlan& plan) const = 0;
  /// Writes all of `tensors(plan)`.
  virtual Rounding write(const LayerPlan& plan, const QuantizedLayer& layer,
                         io::SafetensorsWriter& to) const = 0;
  /// For config.json; nothing for a format that needs none.
  virtual std::optional<io::QuantizationConfig> config(
      const std::vector<LayerPlan>& plans,
      const std::vector<std::string>& linear_unquantized) const = 0;
};

/// `model_dtype`: what compressed-tensors stores scales as.
std::unique_ptr<LayerFormat> compressed_tensors_format(DType model_dtype);
/// `zero_minus_one`: checkpoint_format "gptq" instead of "gptq_v2".
std::unique_ptr<LayerFormat> gptq_format(bool zero_minus_one);
std::unique_ptr<LayerFormat> dequantized_format();

}  // namespace constrictor::exports
