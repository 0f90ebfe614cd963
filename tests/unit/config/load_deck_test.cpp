// SPDX-License-Identifier: Apache-2.0
// Good decks: defaults, presets, overrides of the command line.
#include "config/load_deck.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "config/presets.hpp"

namespace constrictor::config {
namespace {

const std::string smallest = "model: {path: m}\ncalibration: {tokens: t.h5}\n";

RunSpec parsed(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_deck(text, "deck.yaml", overrides);
}

TEST(Deck, TheSmallestOneHasAllDefaults) {
  const RunSpec run = parsed(smallest);
  const QuantSpec defaults;
  EXPECT_EQ(run.model.path, "m");
  EXPECT_EQ(run.calibration.tokens, "t.h5");
  EXPECT_EQ(run.calibration.sequences, 128);
  EXPECT_EQ(run.quant.method, Method::turboboa);
  EXPECT_EQ(run.quant.bits, 2);
  EXPECT_EQ(run.quant.drift, defaults.drift);
  EXPECT_EQ(run.quant.refine_passes, defaults.refine_passes);
  EXPECT_EQ(run.quant.rows_at_once, 16);
  EXPECT_EQ(run.quant.damping, 0.01);
  EXPECT_TRUE(run.quant.overrides.empty());
  EXPECT_TRUE(run.evaluation.tokens.empty());
  EXPECT_EQ(run.run.out, "runs");
  EXPECT_EQ(run.run.reduction, Reduction::exact);
  EXPECT_EQ(run.run.lanes, 16);
  EXPECT_FALSE(run.run.keep.statistics);
}

TEST(Deck, EveryKeyIsRead) {
  const RunSpec run = parsed(R"(
model:
  path: models/Llama 3.2       # a comment
calibration:
  tokens: a.tokens.h5
  tokens_sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  sequences: 64
quant:
  method: boa
  bits: 3
  group_size: 128
  symmetric: true
  grid: mse
  rows_at_once: 8
  drift: exact
  alpha: 0.5
  adaptive_grid: false
  refine_passes: 4
  column_order: descending
  row_order: descending
  value_hessian: input
  row_metric: none
  value_row_metric: output
  beam: 1
  polish: 0
  gather: block
  damping: 1e-3
  fallback: rtn
  layers:
    mlp.down_proj: {bits: 4, alpha: 0.250}
    "3.*": {method: rtn}
evaluation:
  tokens: [x.h5, "y z.h5"]
  kl: false
run:
  out: elsewhere
  device: cuda
  reduction: fast
  products: bfloat16
  lanes: 8
  threads: 3
  keep: {statistics: true, activations: 256}
)");
  EXPECT_EQ(run.model.path, "models/Llama 3.2");
  EXPECT_EQ(run.calibration.tokens_sha256.size(), 64u);
  EXPECT_EQ(run.calibration.sequences, 64);
  EXPECT_EQ(run.quant.method, Method::boa);
  EXPECT_EQ(run.quant.bits, 3);
  EXPECT_EQ(run.quant.group_size, 128);
  EXPECT_TRUE(run.quant.symmetric);
  EXPECT_EQ(run.quant.grid, GridSearch::mse);
  EXPECT_EQ(run.quant.rows_at_once, 8);
  EXPECT_EQ(run.quant.drift, Drift::exact);
  EXPECT_EQ(run.quant.alpha, 0.5);
  EXPECT_FALSE(run.quant.adaptive_grid);
  EXPECT_EQ(run.quant.refine_passes, 4);
  EXPECT_EQ(run.quant.column_order, Order::descending);
  EXPECT_EQ(run.quant.row_order, Order::descending);
  EXPECT_EQ(run.quant.value_hessian, ValueHessian::input);
  EXPECT_EQ(run.quant.row_metric, RowMetric::none);
  EXPECT_EQ(run.quant.value_row_metric, ValueRowMetric::output);
  EXPECT_EQ(run.quant.damping, 0.001);
  EXPECT_TRUE(run.quant.fallback_rtn);
  const decltype(run.quant.overrides) expected = {
      {"mlp.down_proj", {{"bits", "4"}, {"alpha", "0.25"}}}, {"3.*", {{"method", "rtn"}}}};
  EXPECT_EQ(run.quant.overrides, expected);
  EXPECT_EQ(run.evaluation.tokens, (std::vector<std::string>{"x.h5", "y z.h5"}));
  EXPECT_FALSE(run.evaluation.kl);
  EXPECT_EQ(run.run.out, "elsewhere");
  EXPECT_EQ(run.run.device, "cuda");
  EXPECT_EQ(run.run.reduction, Reduction::fast);
  EXPECT_EQ(run.run.products, Products::bfloat16);
  EXPECT_EQ(run.run.lanes, 8);
  EXPECT_EQ(run.run.threads, 3);
  EXPECT_TRUE(run.run.keep.statistics);
  EXPECT_EQ(run.run.keep.activations, 256);
}

TEST(Deck, EmptySectionsAreDefaults) {
  EXPECT_EQ(parsed(smallest + "quant:\nrun:\n  keep:\n").quant.bits, 2);
}

TEST(Preset, GptqAndRtnIgnoreTheAttention) {
  for (const char* method : {"gptq", "rtn"}) {
    const QuantSpec quant = parsed(smallest + "quant: {method: " + method + "}\n").quant;
    EXPECT_EQ(quant.drift, Drift::none);
    EXPECT_EQ(quant.row_metric, RowMetric::none);
    EXPECT_EQ(quant.value_hessian, ValueHessian::input);
    EXPECT_EQ(quant.refine_passes, 0);
  }
}

TEST(Preset, BoaTakesOneRowAtATime) {
  const QuantSpec quant = parsed(smallest + "quant: {method: boa}\n").quant;
  EXPECT_EQ(quant.rows_at_once, 1);
  EXPECT_EQ(quant.drift, Drift::none);
  EXPECT_EQ(quant.refine_passes, 0);
  EXPECT_EQ(quant.row_metric, RowMetric::attention);
}

TEST(Preset, OfTurboboaIsTheDefault) {
  QuantSpec changed, untouched;
  apply_preset(Method::gptq, changed);
  apply_preset(Method::turboboa, changed);
  EXPECT_EQ(changed.rows_at_once, untouched.rows_at_once);
  EXPECT_EQ(changed.drift, untouched.drift);
  EXPECT_EQ(changed.row_metric, untouched.row_metric);
  EXPECT_EQ(changed.value_hessian, untouched.value_hessian);
  EXPECT_EQ(changed.refine_passes, untouched.refine_passes);
}

TEST(Preset, TheDeckHasTheLastWordInAnyOrder) {
  const std::string quant =
      smallest + "quant: {drift: sequential, refine_passes: 2, method: gptq}\n";
  EXPECT_EQ(parsed(quant).quant.drift, Drift::sequential);
  EXPECT_EQ(parsed(quant).quant.refine_passes, 2);
  EXPECT_EQ(parsed(quant).quant.row_metric, RowMetric::none);
}

TEST(Override, ReplacesAndAddsInOrder) {
  const RunSpec run = parsed(smallest + "quant: {bits: 4}\n",
                             {"quant.bits=3", "quant.method=gptq", "run.keep.statistics=true",
                              "evaluation.tokens=[a.h5, b.h5]", "quant.bits=5"});
  EXPECT_EQ(run.quant.bits, 5);
  EXPECT_EQ(run.quant.method, Method::gptq);
  EXPECT_EQ(run.quant.drift, Drift::none) << "the preset of an overridden method counts";
  EXPECT_TRUE(run.run.keep.statistics);
  EXPECT_EQ(run.evaluation.tokens, (std::vector<std::string>{"a.h5", "b.h5"}));
}

TEST(Override, OfOneLayerPattern) {
  const RunSpec run = parsed(
      smallest, {"quant.layers.mlp.down_proj.bits=4", "quant.layers.3.self_attn.*.group_size=32"});
  const decltype(run.quant.overrides) expected = {{"mlp.down_proj", {{"bits", "4"}}},
                                                  {"3.self_attn.*", {{"group_size", "32"}}}};
  EXPECT_EQ(run.quant.overrides, expected);
}

TEST(Deck, IsReadFromAFile) {
  const std::string path = testing::TempDir() + "load_deck_test.yaml";
  std::ofstream(path) << smallest;
  EXPECT_EQ(load_deck(path).model.path, "m");
  EXPECT_EQ(load_deck(path, {"quant.bits=8"}).quant.bits, 8);
}

}  // namespace
}  // namespace constrictor::config
