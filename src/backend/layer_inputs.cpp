// SPDX-License-Identifier: Apache-2.0
#include "backend/layer_inputs.hpp"

#include <algorithm>

#include "hessian/softmax_metric.hpp"
#include "quant/solvers.hpp"

namespace constrictor::backend {
namespace {

using hessian::Place;

/// A norm behind a sublayer (Gemma) does not change what `output` and `down` get: the plain H_in of
/// their input. Its Jacobian, (1/r) D (I - v v') as in hessian/head_norm.hpp, would be an H_out
/// over all `hidden` rows at once, which no solver here takes rows by, and its factor 1/r² a weight
/// of tokens in H_in; what it takes away, the part of an error along the output itself, is one of
/// `hidden` directions.
Place place_of(Role role) {
  switch (role) {
    case Role::query:
    case Role::key:
    case Role::value:
      return Place::attention_input;
    case Role::output:
      return Place::output_input;
    case Role::gate:
    case Role::up:
      return Place::mlp_input;
    case Role::down:
      return Place::down_input;
  }
  throw Bug("a layer without a role");
}

bool weighs_values(Role role, const QuantSpec& spec) {
  return role == Role::value && spec.value_hessian == ValueHessian::attention;
}

bool has_output_side(Role role, const QuantSpec& spec) {
  if (!quant::solver<float>(spec.method).sides.output) return false;
  if (role == Role::query || role == Role::key) return spec.row_metric != RowMetric::none;
  return role == Role::value && spec.value_row_metric == ValueRowMetric::output;
}

/// Of the published runs.
double usual_lambda(Role role) {
  return role == Role::query || role == Role::key || role == Role::value ? 1.5 : 1.0;
}

/// The same H, D, U and P serve both.
bool same_side(const InputUnit& a, const InputUnit& b) {
  const auto &x = a.settings, &y = b.settings;
  return a.place == b.place && a.head == b.head && x.damping == y.damping && x.drift == y.drift &&
         x.alpha == y.alpha && x.column_order == y.column_order;
}

Index shared_unit(InputUnit unit, std::vector<InputUnit>& units) {
  for (std::size_t i = 0; i < units.size(); ++i)
    if (same_side(units[i], unit)) {
      units[i].factor |= unit.factor;
      units[i].settings.shift_wanted |= unit.settings.shift_wanted;
      return static_cast<Index>(i);
    }
  units.push_back(std::move(unit));
  return static_cast<Index>(units.size()) - 1;
}

}  // namespace

bool BlockStep::has(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

std::vector<BlockStep> steps_of(Gather gather, const std::vector<Role>& roles) {
  if (gather == Gather::block) return {{roles, true, true}};
  std::vector<BlockStep> steps;
  for (std::size_t i = 0; i < roles.size(); ++i) {  // layers of one place stand side by side
    const bool same_place = i > 0 && place_of(roles[i]) == place_of(roles[i - 1]);
    if (!same_place) steps.push_back({{}, i == 0, false});
    steps.back().roles.push_back(roles[i]);
  }
  steps.back().last = true;
  return steps;
}

LayerInputs plan_layers(const ModelSpec& model, const Block& block,
                        const std::vector<QuantSpec>& specs, Index length, const BlockStep& step) {
  LayerInputs inputs;
  inputs.block = block.index;
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    const Layer& layer = block.layers[i];
    if (!step.has(layer.role)) continue;
    LayerPlan plan{&layer, specs[i], {}, 0};
    if (plan.spec.rounding_lambda == 0) plan.spec.rounding_lambda = usual_lambda(layer.role);
    const bool two_sided = has_output_side(layer.role, plan.spec);
    if (two_sided) plan.heads = layer.role == Role::query ? model.heads : model.kv_heads;
    InputUnit unit;
    unit.place = place_of(layer.role);
    if (layer.expert >= 0) {
      unit.place = layer.role == Role::down ? Place::expert_down : Place::expert_mlp;
      unit.head = layer.expert;
    }
    unit.settings = {
        plan.spec.damping,
        length,
        plan.spec.drift,
        plan.spec.alpha,
        plan.spec.column_order,
        plan.spec.drift == Drift::exact || (two_sided && plan.spec.drift == Drift::sequential)};
    unit.factor = quant::solver<float>(plan.spec.method).sides.factor;
    unit.name = "block " + std::to_string(block.index) + ", " + layer.name;
    unit.inputs = layer.weight.cols();
    if (weighs_values(layer.role, plan.spec)) {
      unit.place = Place::value_head;
      for (unit.head = 0; unit.head < model.kv_heads; ++unit.head) {
        auto head = unit;
        head.name += " head " + std::to_string(unit.head);
        plan.units.push_back(shared_unit(std::move(head), inputs.units));
      }
    } else {
      plan.units.push_back(shared_unit(std::move(unit), inputs.units));
    }
    inputs.layers.push_back(std::move(plan));
  }
  return inputs;
}

std::vector<View<const float>> weights_of_unit(const LayerInputs& inputs, Index unit) {
  std::vector<View<const float>> weights;
  for (const LayerPlan& plan : inputs.layers) {
    const auto parts = static_cast<Index>(plan.units.size());
    const Index rows = plan.layer->weight.rows() / parts;
    for (Index p = 0; p < parts; ++p)
      if (plan.units[static_cast<std::size_t>(p)] == unit)
        weights.push_back(plan.layer->weight.view().rows_from(p * rows, rows));
  }
  return weights;
}

void use_sums(const SumShape& shape, const BlockSums& sums, const Block& block,
              const std::vector<float>& frequencies, Index length, LayerInputs& inputs) {
  inputs.expert_tokens.assign(sums.tokens.begin() + 1, sums.tokens.end());
  inputs.input_statistics = [&shape, &sums](const InputUnit& unit) {
    return hessian::input_statistics(shape, sums, unit.place, unit.head);
  };
  inputs.output_hessian = [&, length](const LayerPlan& plan, Index h) {
    const bool query = plan.layer->role == Role::query;
    if (plan.layer->role != Role::value && plan.spec.row_metric == RowMetric::softmax)
      return hessian::softmax_output_hessian(
          shape, sums,
          (query ? sums.query_metric : sums.key_metric).at(static_cast<std::size_t>(h)), length);
    switch (plan.layer->role) {
      case Role::query:
        return hessian::query_output_hessian(shape, sums,
                                             shape.qk_norm ? h : h / (shape.heads / shape.kv_heads),
                                             frequencies, length);
      case Role::key:
        return hessian::key_output_hessian(shape, sums, h, frequencies, length);
      case Role::value:
        return hessian::value_output_hessian(shape, block.layer(Role::output).weight.view(), h);
      default:
        throw Bug("no output side for layer " + plan.layer->name);
    }
  };
}

SumShape sum_shape(const ModelSpec& model, const std::vector<QuantSpec>& specs,
                   const std::vector<Role>& roles, const BlockStep& step) {
  SumShape shape{.hidden = model.hidden,
                 .attention_width = model.heads * model.head_dim,
                 .feed_forward = model.feed_forward,
                 .heads = model.heads,
                 .kv_heads = model.kv_heads,
                 .head_dim = model.head_dim,
                 .experts = model.experts,
                 .qk_norm = model.qk_norm};
  shape.attention_input = shape.output_input = shape.mlp_input = shape.down_input = false;
  const auto wanted_at = [&](Place place) -> bool& {
    if (place == Place::attention_input) return shape.attention_input;
    if (place == Place::output_input) return shape.output_input;
    return place == Place::mlp_input ? shape.mlp_input : shape.down_input;
  };
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (!step.has(roles[i])) continue;
    wanted_at(place_of(roles[i])) = true;
    shape.drift |= specs[i].drift != Drift::none && specs[i].alpha != 0;
    shape.value_attention |= weighs_values(roles[i], specs[i]);
    if (roles[i] == Role::value || !has_output_side(roles[i], specs[i])) continue;
    const bool softmax = specs[i].row_metric == RowMetric::softmax;
    (softmax ? shape.softmax_metric : shape.row_metric) = true;
    if (softmax) shape.metric_positions = specs[i].metric_positions;
  }
  return shape;
}

}  // namespace constrictor::backend
