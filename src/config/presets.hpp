// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/specs.hpp"

namespace constrictor::config {

/// What a method sets unless the deck says otherwise; all other values keep their defaults.
struct Preset {
  Method method;
  Index rows_at_once;
  Drift drift;
  RowMetric row_metric;
  ValueHessian value_hessian;
  Index refine_passes;
  double refine_gain;
  Index group_size;  // where the deck has none; 0 = a whole row
  // Our own searches, off in published methods.
  Order order = Order::original;  // of columns; rows descend where columns are pivoted
  Index beam = 1, polish = 0;
  Gather gather = Gather::block;
};

const Preset& preset(Method method);

/// Sets the method and the values of its preset.
void apply_preset(Method method, QuantSpec& spec);

}  // namespace constrictor::config
