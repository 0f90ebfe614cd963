// SPDX-License-Identifier: Apache-2.0
#include "config/presets.hpp"

#include <array>

namespace constrictor::config {

namespace {
// method, rows_at_once, drift, row_metric, value_hessian, refine_passes, refine_gain, group_size
constexpr std::array presets = {
    Preset{Method::rtn, 16, Drift::none, RowMetric::none, ValueHessian::input, 0, 0, 0},
    Preset{Method::gptq, 16, Drift::none, RowMetric::none, ValueHessian::input, 0, 0, 0},
    Preset{Method::boa, 1, Drift::none, RowMetric::attention, ValueHessian::attention, 0, 0, 0},
    Preset{Method::turboboa, 16, Drift::sequential, RowMetric::attention, ValueHessian::attention,
           1, 0, 0},
    Preset{Method::two_stage, 16, Drift::sequential, RowMetric::none, ValueHessian::input, 8, 0.01,
           128},
    Preset{Method::aespa, 16, Drift::none, RowMetric::attention, ValueHessian::attention, 0, 0, 0},
    Preset{Method::constrictor, 16, Drift::exact, RowMetric::attention, ValueHessian::attention, 1,
           0, 0, Order::pivoted, 16, 2, Gather::sublayer},  // experiments/ablation
};
}  // namespace

const Preset& preset(Method method) {
  for (const Preset& known : presets)
    if (known.method == method) return known;
  throw Bug("a method without preset in config/presets.cpp");
}

void apply_preset(Method method, QuantSpec& spec) {
  const Preset& values = preset(method);
  spec.method = method;
  spec.rows_at_once = values.rows_at_once;
  spec.drift = values.drift;
  spec.row_metric = values.row_metric;
  spec.value_hessian = values.value_hessian;
  spec.refine_passes = values.refine_passes;
  spec.refine_gain = values.refine_gain;
  if (spec.group_size == 0) spec.group_size = values.group_size;
  spec.column_order = values.order;
  spec.row_order = values.order == Order::original ? Order::original : Order::descending;
  spec.beam = values.beam;
  spec.polish = values.polish;
  spec.gather = values.gather;
}

}  // namespace constrictor::config
