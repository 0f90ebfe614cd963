// SPDX-License-Identifier: Apache-2.0
// The solvers against tests/oracle/solvers.h5: statistics of 14 layers and what an independent
// float64 implementation makes of them with 15 option sets (its README has the conventions).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <string>

#include "hessian/damped.hpp"
#include "io/h5.hpp"
#include "quant/solvers.hpp"

namespace constrictor::quant {
namespace {

/// Value of `key` in the text of a Python dict of plain scalars, or `otherwise`.
std::string option(const std::string& options, const std::string& key,
                   const std::string& otherwise) {
  const auto at = options.find("'" + key + "': ");
  if (at == std::string::npos) return otherwise;
  const auto first = at + key.size() + 4;
  auto value = options.substr(first, options.find_first_of(",}", first) - first);
  std::erase(value, '\'');
  return value;
}

QuantSpec spec_of(const std::string& options) {
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
  spec.column_order =
      option(options, "col", "False") == "True" ? Order::descending : Order::original;
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

struct Outcome {
  Index equal = 0, entries = 0;
  double loss = 0, loss_before = 0, scale = 0;
};

template <class T>
Outcome run_layer(const io::H5Group& block, const std::string& name, const std::string& set) {
  const auto layer = block.group(name), expected = layer.group("result").group(set);
  const auto spec = spec_of(expected.template attribute<std::string>("options"));
  const bool is_value = name.ends_with("v_proj");
  const auto source = block.group(
      is_value && spec.value_hessian == ValueHessian::input ? "self_attn.q_proj" : name);
  const auto H = source.template matrix<T>("H_in"), D = source.template matrix<T>("D");
  const auto stored = layer.template matrix<float>("weight");
  const auto W = converted<T>(stored.view());
  std::string metric;
  if (spec.row_metric != RowMetric::none && layer.has("H_out")) metric = "H_out";
  if (is_value && spec.value_row_metric == ValueRowMetric::output) metric = "H_out_output";
  const Index sides = H.rows() / H.cols();
  const Index heads = metric.empty() ? sides : layer.shape(metric)[0];
  const auto H_out = metric.empty() ? Matrix<T>() : layer.template matrix<T>(metric);
  const auto codes = expected.template matrix<std::uint8_t>("codes");

  Outcome outcome;
  InputSide<T> input;
  for (Index h = 0; h < heads; ++h) {
    if (h == 0 || sides > 1)
      input =
          hessian::factor_input<T>(page(H, sides, h), page(D, sides, h),
                                   {.damping = 0.01,
                                    .length = 256,
                                    .drift = spec.drift,
                                    .alpha = spec.alpha,
                                    .column_order = spec.column_order,
                                    .shift_wanted = spec.drift == Drift::exact || !metric.empty()},
                                   name);
    OutputSide<T> output;
    if (!metric.empty())
      output = hessian::factor_output<T>(page(H_out, heads, h), 0.01, spec.row_order, name);
    const auto solution =
        solve_turboboa<T>(page(W, heads, h), input, metric.empty() ? nullptr : &output, spec);
    const auto wanted = page(codes, heads, h);
    for (Index r = 0; r < wanted.rows; ++r)
      for (Index c = 0; c < wanted.cols; ++c) outcome.equal += wanted(r, c) == solution.codes(r, c);
    outcome.entries += wanted.size();
    outcome.loss += solution.loss_after;
    outcome.loss_before += solution.loss_before;
    outcome.scale += solution.loss_scale;
  }
  EXPECT_NEAR(outcome.loss_before / outcome.scale /
                  expected.template attribute<double>("loss_before_refinement"),
              1, sizeof(T) == 4 ? 1e-2 : 1e-4)
      << name << " " << set;
  EXPECT_NEAR(outcome.loss / outcome.scale / expected.template attribute<double>("loss"), 1,
              sizeof(T) == 4 ? 1e-2 : 1e-4)
      << name << " " << set;
  return outcome;
}

template <class T>
class GoldenSolvers : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(GoldenSolvers, Scalars);

TYPED_TEST(GoldenSolvers, AgreeOnEverySetAndLayer) {
  using T = TypeParam;
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  const auto sets = file.group("block_0").group("self_attn.q_proj").group("result").names();
  EXPECT_EQ(sets.size(), 17u);
  for (const auto& set : sets) {
    if (set.ends_with("pivoted") || set.ends_with("best")) continue;  // methods of a later version
    Index equal = 0, entries = 0;
    for (const char* block : {"block_0", "block_2"})
      for (const auto& layer : file.group(block).names()) {
        const auto outcome = run_layer<T>(file.group(block), layer, set);
        equal += outcome.equal;
        entries += outcome.entries;
        EXPECT_GE(double(outcome.equal), (sizeof(T) == 4 ? 0.98 : 0.99) * double(outcome.entries))
            << block << " " << layer << " " << set;
      }
    std::printf("%-24s %s codes equal %.4f %%\n", set.c_str(), sizeof(T) == 4 ? "float " : "double",
                100. * double(equal) / double(entries));
    EXPECT_GE(double(equal), (sizeof(T) == 4 ? 0.995 : 0.999) * double(entries)) << set;
  }
}

}  // namespace
}  // namespace constrictor::quant
