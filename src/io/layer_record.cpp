// SPDX-License-Identifier: Apache-2.0
#include "io/layer_record.hpp"

#include "core/error.hpp"
#include "data/stages.hpp"
#include "data/words.hpp"

namespace constrictor::io {
namespace {

template <class E>
void write_word(H5Group& group, const char* name, E value) {
  group.set_attribute(name, word(value));
}

template <class E>
E read_word(const H5Group& group, const char* name) {
  const auto text = group.attribute<std::string>(name);
  const std::optional<E> value = parse_word<E>(text);
  if (!value)
    throw LibraryError("attribute " + std::string(name) + " is " + text + ", not one of " +
                       words_of<E>());
  return *value;
}

void write_spec(H5Group& group, const QuantSpec& spec) {
  write_word(group, "method", spec.method);
  group.set_attribute("bits", spec.bits);
  group.set_attribute("group_size", spec.group_size);
  group.set_attribute("symmetric", spec.symmetric);
  write_word(group, "grid", spec.grid);
  group.set_attribute("rows_at_once", spec.rows_at_once);
  write_word(group, "drift", spec.drift);
  group.set_attribute("alpha", spec.alpha);
  group.set_attribute("adaptive_grid", spec.adaptive_grid);
  group.set_attribute("refine_passes", spec.refine_passes);
  group.set_attribute("refine_gain", spec.refine_gain);
  group.set_attribute("refine_zeros", spec.refine_zeros);
  group.set_attribute("polish", spec.polish);
  // As asked for; the permutations that came of it are the datasets of these names.
  write_word(group, "column_order", spec.column_order);
  write_word(group, "row_order", spec.row_order);
  group.set_attribute("beam", spec.beam);
  write_word(group, "value_hessian", spec.value_hessian);
  write_word(group, "row_metric", spec.row_metric);
  write_word(group, "value_row_metric", spec.value_row_metric);
  if (spec.method == Method::aespa) {
    group.set_attribute("rounding_steps", spec.rounding_steps);
    group.set_attribute("rounding_rate", spec.rounding_rate);
    group.set_attribute("rounding_lambda", spec.rounding_lambda);
  }
  group.set_attribute("damping_asked", spec.damping);
  group.set_attribute("fallback_rtn", spec.fallback_rtn);
}

QuantSpec read_spec(const H5Group& group) {
  QuantSpec spec;
  spec.method = read_word<Method>(group, "method");
  spec.bits = static_cast<int>(group.attribute<std::int64_t>("bits"));
  spec.group_size = group.attribute<std::int64_t>("group_size");
  spec.symmetric = group.attribute<bool>("symmetric");
  spec.grid = read_word<GridSearch>(group, "grid");
  spec.rows_at_once = group.attribute<std::int64_t>("rows_at_once");
  spec.drift = read_word<Drift>(group, "drift");
  spec.alpha = group.attribute<double>("alpha");
  spec.adaptive_grid = group.attribute<bool>("adaptive_grid");
  spec.refine_passes = group.attribute<std::int64_t>("refine_passes");
  if (group.has_attribute("polish")) {  // results of the first version do not have them
    spec.refine_gain = group.attribute<double>("refine_gain");
    spec.refine_zeros = group.attribute<bool>("refine_zeros");
    spec.polish = group.attribute<std::int64_t>("polish");
  }
  spec.column_order = read_word<Order>(group, "column_order");
  spec.row_order = read_word<Order>(group, "row_order");
  if (group.has_attribute("beam")) spec.beam = group.attribute<std::int64_t>("beam");
  spec.value_hessian = read_word<ValueHessian>(group, "value_hessian");
  spec.row_metric = read_word<RowMetric>(group, "row_metric");
  spec.value_row_metric = read_word<ValueRowMetric>(group, "value_row_metric");
  if (spec.method == Method::aespa) {
    spec.rounding_steps = group.attribute<std::int64_t>("rounding_steps");
    spec.rounding_rate = group.attribute<double>("rounding_rate");
    spec.rounding_lambda = group.attribute<double>("rounding_lambda");
  }
  spec.damping = group.attribute<double>("damping_asked");
  spec.fallback_rtn = group.attribute<bool>("fallback_rtn");
  return spec;
}

/// The result must be usable: `dequantized` divides by the number of groups.
bool shapes_fit(const QuantizedLayer& layer) {
  const Index out = layer.codes.rows(), in = layer.codes.cols(), groups = layer.scale.cols();
  return groups >= 1 && in % groups == 0 && layer.scale.rows() == out && layer.zero.rows() == out &&
         layer.zero.cols() == groups;
}

}  // namespace

void write_layer(H5Group& group, const QuantizedLayer& layer, Index position) {
  CONSTRICTOR_REQUIRE(shapes_fit(layer), layer.name, layer.codes.rows(), layer.codes.cols(),
                      layer.scale.rows(), layer.scale.cols(), layer.zero.rows(), layer.zero.cols());
  write_spec(group, layer.spec);
  group.set_attribute("position", position);
  write_word(group, "role", layer.role);
  group.set_attribute("method_used", layer.method_used);
  group.set_attribute("codes_packed", false);
  group.set_attribute("loss_before", layer.loss_before);
  group.set_attribute("loss_after", layer.loss_after);
  group.set_attribute("loss_rounding", layer.loss_rounding);
  group.set_attribute("loss_scale", layer.loss_scale);
  if (layer.spec.method == Method::aespa) {
    group.set_attribute("loss_start", layer.rounding.loss_start);
    group.set_attribute("rounding_steps_taken", layer.rounding.steps);
    group.set_attribute("rounding_undecided", layer.rounding.undecided);
    group.set_attribute("rounding_rows_at_start", layer.rounding.rows_at_start);
  }
  if (layer.expert >= 0) {
    group.set_attribute("expert", layer.expert);
    group.set_attribute("expert_tokens", layer.expert_tokens);
    group.set_attribute("shared_statistics", layer.shared_statistics);
  }
  group.set_attribute("stages", stage_words(layer.spec));
  group.set_attribute("frozen_scales", layer.frozen_scales);
  group.set_attribute("alpha_used", layer.alpha_used);
  group.set_attribute("damping", layer.damping);
  group.set_attribute("damping_retries", layer.damping_retries);
  group.set_attribute("dead_columns", layer.dead_columns);
  group.set_attribute("condition_estimate", layer.condition_estimate);
  group.set_attribute("seconds", layer.seconds);
  group.set_attribute("rank", layer.rank);

  group.write("codes", layer.codes);
  group.write("scale", layer.scale);
  group.write("zero", layer.zero);
  if (!layer.column_order.empty()) group.write("column_order", layer.column_order);
  if (!layer.row_order.empty()) group.write("row_order", layer.row_order);
  H5Group error = group.create_group("error");
  error.write("row_loss", layer.row_loss);
  error.write("column_energy", layer.column_energy);
  if (!layer.loss_by_stage.empty()) error.write("loss_by_stage", layer.loss_by_stage);
}

QuantizedLayer read_layer(const H5Group& group, const std::string& name) {
  QuantizedLayer layer;
  layer.name = name;
  layer.spec = read_spec(group);
  layer.role = read_word<Role>(group, "role");
  layer.method_used = group.attribute<std::string>("method_used");
  layer.loss_before = group.attribute<double>("loss_before");
  layer.loss_after = group.attribute<double>("loss_after");
  layer.loss_rounding = group.attribute<double>("loss_rounding");
  layer.loss_scale = group.attribute<double>("loss_scale");
  if (group.has_attribute("expert")) {
    layer.expert = group.attribute<std::int64_t>("expert");
    layer.expert_tokens = group.attribute<std::int64_t>("expert_tokens");
    layer.shared_statistics = group.attribute<bool>("shared_statistics");
  }
  if (group.has_attribute("alpha_used"))  // files of the first version have none
    layer.alpha_used = group.attribute<double>("alpha_used");
  if (layer.spec.method == Method::aespa) {
    layer.rounding.loss_start = group.attribute<double>("loss_start");
    layer.rounding.steps = group.attribute<std::int64_t>("rounding_steps_taken");
    layer.rounding.undecided = group.attribute<std::int64_t>("rounding_undecided");
    layer.rounding.rows_at_start = group.attribute<std::int64_t>("rounding_rows_at_start");
  }
  layer.damping = group.attribute<double>("damping");
  layer.damping_retries = static_cast<int>(group.attribute<std::int64_t>("damping_retries"));
  layer.dead_columns = group.attribute<std::int64_t>("dead_columns");
  layer.condition_estimate = group.attribute<double>("condition_estimate");
  layer.seconds = group.attribute<double>("seconds");
  layer.rank = static_cast<int>(group.attribute<std::int64_t>("rank"));

  if (group.attribute<bool>("codes_packed"))
    throw LibraryError("packed codes of " + name + " cannot be read yet");
  layer.codes = group.matrix<std::uint8_t>("codes");
  layer.scale = group.matrix<float>("scale");
  layer.zero = group.matrix<float>("zero");
  if (group.has("column_order")) layer.column_order = group.vector<std::int32_t>("column_order");
  if (group.has("row_order")) layer.row_order = group.vector<std::int32_t>("row_order");
  const H5Group error = group.group("error");
  layer.row_loss = error.vector<float>("row_loss");
  layer.column_energy = error.vector<float>("column_energy");
  // Results of the first version do not have these.
  if (error.has("loss_by_stage")) layer.loss_by_stage = error.vector<double>("loss_by_stage");
  if (group.has_attribute("frozen_scales"))
    layer.frozen_scales = group.attribute<std::int64_t>("frozen_scales");
  if (!shapes_fit(layer))
    throw LibraryError("the shapes of codes, scale and zero of " + name + " do not fit each other");
  return layer;
}

}  // namespace constrictor::io
