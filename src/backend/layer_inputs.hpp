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

/// The layers that are quantized together, from statistics gathered once.
struct BlockStep {
  std::vector<Role> roles;
  bool first = true;  // no layer of the block is quantized yet
  bool last = true;   // afterwards all of them are
  bool has(Role role) const;
};
/// How a block is quantized: all layers in one step, or query, key and value first, then output,
/// then gate and up, then down. `roles`: of the block's layers, in their order.
std::vector<BlockStep> steps_of(Gather gather, const std::vector<Role>& roles);

/// One input side to factor; layers with the same place, head and settings share it.
struct InputUnit {
  hessian::Place place = hessian::Place::attention_input;
  Index head = 0;  // of `value_head`; the expert's number of `expert_mlp` and `expert_down`
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
  /// The same of held-out sequences, which then choose alpha; empty without (or without drift).
  std::function<hessian::InputStatistics(const InputUnit&)> fold_statistics;
  /// Tokens that each expert was used for; empty without experts.
  std::vector<Index> expert_tokens;
  /// Raw H_out of head h of a layer.
  std::function<Matrix<float>(const LayerPlan&, Index h)> output_hessian;
};

/// Plans the layers of a step. `specs`: options of each layer of the block, in its order; `length`:
/// tokens of a sequence.
LayerInputs plan_layers(const ModelSpec& model, const Block& block,
                        const std::vector<QuantSpec>& specs, Index length, const BlockStep& step);

/// The rows that a unit serves, of all layers; [rows x inputs] each.
std::vector<View<const float>> weights_of_unit(const LayerInputs& inputs, Index unit);

/// Statistics from the sums of this run; `sums`, `shape`, `block` and `frequencies` must outlive
/// the inputs.
void use_sums(const SumShape& shape, const BlockSums& sums, const Block& block,
              const std::vector<float>& frequencies, Index length, LayerInputs& inputs);

/// The sums that the options of a step's layers ask for; `specs` and `roles` of all of the block's.
SumShape sum_shape(const ModelSpec& model, const std::vector<QuantSpec>& specs,
                   const std::vector<Role>& roles, const BlockStep& step);

}  // namespace constrictor::backend
