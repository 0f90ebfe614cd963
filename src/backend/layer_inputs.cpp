// SPDX-License-Identifier: Apache-2.0
#include "backend/layer_inputs.hpp"

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
  if (role == Role::query || role == Role::key) return spec.row_metric == RowMetric::attention;
  return role == Role::value && spec.value_row_metric == ValueRowMetric::output;
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

LayerInputs plan_layers(const ModelSpec& model, const Block& block,
                        const std::vector<QuantSpec>& specs, Index length) {
  LayerInputs inputs;
  inputs.block = block.index;
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    const Layer& layer = block.layers[i];
    LayerPlan plan{&layer, specs[i], {}, 0};
    const bool two_sided = has_output_side(layer.role, plan.spec);
    if (two_sided) plan.heads = layer.role == Role::query ? model.heads : model.kv_heads;
    InputUnit unit;
    unit.place = place_of(layer.role);
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

void use_sums(const SumShape& shape, const BlockSums& sums, const Block& block,
              const std::vector<float>& frequencies, Index length, LayerInputs& inputs) {
  inputs.input_statistics = [&shape, &sums](const InputUnit& unit) {
    return hessian::input_statistics(shape, sums, unit.place, unit.head);
  };
  inputs.output_hessian = [&, length](const LayerPlan& plan, Index h) {
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
                   const std::vector<Role>& roles) {
  SumShape shape{.hidden = model.hidden,
                 .attention_width = model.heads * model.head_dim,
                 .feed_forward = model.feed_forward,
                 .heads = model.heads,
                 .kv_heads = model.kv_heads,
                 .head_dim = model.head_dim,
                 .qk_norm = model.qk_norm};
  for (std::size_t i = 0; i < specs.size(); ++i) {
    shape.drift |= specs[i].drift != Drift::none && specs[i].alpha != 0;
    shape.value_attention |= weighs_values(roles[i], specs[i]);
    shape.row_metric |= roles[i] != Role::value && has_output_side(roles[i], specs[i]);
  }
  return shape;
}

}  // namespace constrictor::backend
