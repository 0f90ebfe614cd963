// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a block's layers are quantized with: weights, options, and the statistics that each of them
// uses.

#include <functional>
#include <string>
#include <vector>

#include "data/block.hpp"
#include "data/block_sums.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"
#include "hessian/damped.hpp"
#include "hessian/statistics.hpp"

namespace constrictor::backend {

/// One input side to factor; layers with the same place, head and settings share it.
struct InputUnit {
  hessian::Place place = hessian::Place::attention_input;
  Index head = 0;  // of `value_head`
  hessian::FactorSettings settings;
  bool factor = false;  // false: plain rounding only, H without factors
  std::string name;     // for messages: "block 3, self_attn.q_proj"
  Index inputs = 0;     // size of H_in
};

/// How one layer is cut: rows [0, out) in `parts` equal parts (heads, or 1), each with its own
/// input unit.
struct LayerPlan {
  const Layer* layer = nullptr;
  QuantSpec spec;
  std::vector<Index> units;  // one for all rows, or one per key-value head
  Index heads = 0;           // heads with an output side of their own; 0 = one-sided
};

struct LayerInputs {
  Index block = 0;
  std::vector<LayerPlan> layers;
  std::vector<InputUnit> units;
  /// Raw statistics, from sums of this run or from a stored file.
  std::function<hessian::InputStatistics(const InputUnit&)> input_statistics;
  /// Raw H_out of head h of a layer.
  std::function<Matrix<float>(const LayerPlan&, Index h)> output_hessian;
};

/// Plans all layers of a block. `specs`: options of each layer, in the block's order; `length`:
/// tokens of a sequence.
LayerInputs plan_layers(const ModelSpec& model, const Block& block,
                        const std::vector<QuantSpec>& specs, Index length);

/// Statistics from the sums of this run; `sums`, `shape`, `block` and `frequencies` must outlive
/// the inputs.
void use_sums(const SumShape& shape, const BlockSums& sums, const Block& block,
              const std::vector<float>& frequencies, Index length, LayerInputs& inputs);

/// The sums that the layers' options ask for.
SumShape sum_shape(const ModelSpec& model, const std::vector<QuantSpec>& specs,
                   const std::vector<Role>& roles);

}  // namespace constrictor::backend
