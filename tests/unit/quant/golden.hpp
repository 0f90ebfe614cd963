// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is needed to read tests/oracle/solvers.h5.
#include <algorithm>
#include <string>

#include "core/matrix.hpp"
#include "data/specs.hpp"
#include "hessian/damped.hpp"
#include "io/h5.hpp"

namespace constrictor::quant {

/// Value of `key` in the text of a Python dict of plain scalars, or `otherwise`.
inline std::string option(const std::string& options, const std::string& key,
                          const std::string& otherwise) {
  const auto at = options.find("'" + key + "': ");
  if (at == std::string::npos) return otherwise;
  const auto first = at + key.size() + 4;
  auto value = options.substr(first, options.find_first_of(",}", first) - first);
  std::erase(value, '\'');
  return value;
}

inline QuantSpec spec_of(const std::string& options) {
  QuantSpec spec;
  spec.bits = std::stoi(option(options, "bits", "?"));
  spec.group_size = std::max(0, std::stoi(option(options, "group", "?")));
  spec.symmetric = option(options, "sym", "False") == "True";
  const auto grid = option(options, "grid", "?");
  spec.grid = grid == "minmax" ? GridSearch::minmax
              : grid == "mse"  ? GridSearch::mse
                               : GridSearch::hessian;
  spec.rows_at_once = std::stoi(option(options, "n", "?"));
  const auto drift = option(options, "drift", "?");
  spec.drift = drift == "none" ? Drift::none : drift == "exact" ? Drift::exact : Drift::sequential;
  spec.alpha = std::stod(option(options, "alpha", "?"));
  spec.refine_passes =
      option(options, "refine", "?") == "True" ? std::stoi(option(options, "iters", "1")) : 0;
  spec.polish = std::stoi(option(options, "cd", "0"));
  const auto columns = option(options, "col", "False");
  spec.column_order = columns == "True"  ? Order::descending
                      : columns == "min" ? Order::pivoted
                                         : Order::original;
  spec.beam = std::stoi(option(options, "beam", "1"));
  spec.row_order = option(options, "row", "False") == "True" ? Order::descending : Order::original;
  spec.value_hessian = option(options, "value_hessian", "?") == "input" ? ValueHessian::input
                                                                        : ValueHessian::attention;
  spec.row_metric =
      option(options, "rowmetric", "attention") == "none" ? RowMetric::none : RowMetric::attention;
  spec.value_row_metric = option(options, "value_row", "none") == "output" ? ValueRowMetric::output
                                                                           : ValueRowMetric::none;
  return spec;
}

template <class T>
View<const T> page(const Matrix<T>& stacked, Index pages, Index i) {
  const Index rows = stacked.rows() / pages;
  return stacked.view().rows_from(i * rows, rows);
}

/// The statistics of one layer of a block of the file, and how its rows are cut.
template <class T>
struct GoldenLayer {
  GoldenLayer(const io::H5Group& block, const std::string& layer_name, const std::string& set)
      : name(layer_name),
        layer(block.group(name)),
        expected(layer.group("result").group(set)),
        spec(spec_of(expected.template attribute<std::string>("options"))) {
    const bool is_value = name.ends_with("v_proj");
    const auto source = block.group(
        is_value && spec.value_hessian == ValueHessian::input ? "self_attn.q_proj" : name);
    H = source.template matrix<T>("H_in");
    D = source.template matrix<T>("D");
    const auto stored = layer.template matrix<float>("weight");
    W = converted<T>(stored.view());
    std::string metric;
    if (spec.row_metric != RowMetric::none && layer.has("H_out")) metric = "H_out";
    if (is_value && spec.value_row_metric == ValueRowMetric::output) metric = "H_out_output";
    two_sided = !metric.empty();
    sides = H.rows() / H.cols();
    heads = two_sided ? layer.shape(metric)[0] : sides;
    if (two_sided) H_out = layer.template matrix<T>(metric);
  }

  InputSide<T> input(Index head) const {
    return hessian::factor_input<T>(page(H, sides, head), page(D, sides, head),
                                    {.damping = 0.01,
                                     .length = 256,
                                     .drift = spec.drift,
                                     .alpha = spec.alpha,
                                     .column_order = spec.column_order,
                                     .shift_wanted = spec.drift == Drift::exact || two_sided},
                                    name);
  }
  OutputSide<T> output(Index head) const {
    return hessian::factor_output<T>(page(H_out, heads, head), 0.01, spec.row_order, name);
  }

  std::string name;
  io::H5Group layer, expected;
  QuantSpec spec;
  Matrix<T> W, H, D, H_out;
  bool two_sided = false;
  Index sides = 0, heads = 0;  // input sides and heads (or parts) of the rows
};

}  // namespace constrictor::quant
