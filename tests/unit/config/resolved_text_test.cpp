// SPDX-License-Identifier: Apache-2.0
// The resolved deck reads back to the same spec; the identity holds what decides the result only.
#include "config/resolved_text.hpp"

#include <gtest/gtest.h>

#include "config/load_deck.hpp"
#include "config/write_fields.hpp"

namespace constrictor::config {
namespace {

const std::string smallest = "model: {path: m}\ncalibration: {tokens: t.h5}\n";

RunSpec with(const std::vector<std::string>& overrides) {
  return parse_deck(smallest, "deck.yaml", overrides);
}
std::string again(const RunSpec& run) {
  return resolved_text(parse_deck(resolved_text(run), "resolved", {}));
}

TEST(ResolvedText, ReadsBackToTheSameText) {
  RunSpec run = with({"quant.method=gptq", "quant.alpha=0.1", "quant.damping=1e-8",
                      "run.keep.activations=5", "quant.layers.mlp.down_proj.bits=4",
                      "quant.layers.*.fallback=rtn", "quant.drift=exact"});
  run.quant.budget = {2.5, {2, 3, 4}};
  run.model.path = "with space: \"quotes\" \\ # and\ttab, \xC5\xB4";
  run.evaluation.tokens = {"a, b.h5", "true", "7", "-x"};
  run.calibration.tokens_sha256 = std::string(64, '0');
  EXPECT_EQ(again(run), resolved_text(run));
  const RunSpec back = parse_deck(resolved_text(run), "resolved", {});
  EXPECT_EQ(back.model.path, run.model.path);
  EXPECT_EQ(back.evaluation.tokens, run.evaluation.tokens);
  EXPECT_EQ(back.quant.overrides, run.quant.overrides);
  EXPECT_EQ(back.quant.budget.average, 2.5);
  EXPECT_EQ(back.quant.budget.choices, run.quant.budget.choices);
  EXPECT_EQ(back.quant.damping, 1e-8);
  EXPECT_EQ(back.quant.drift, Drift::exact);
  EXPECT_EQ(back.calibration.tokens_sha256, run.calibration.tokens_sha256);
}

TEST(ResolvedText, OfEveryMethodIsStable) {
  for (const char* method : {"rtn", "gptq", "boa", "turboboa", "two_stage", "aespa"}) {
    const RunSpec run = with({std::string("quant.method=") + method});
    EXPECT_EQ(again(run), resolved_text(run));
  }
}

TEST(ResolvedText, HoldsEveryKeyOfTheDeck) {
  const std::string text = resolved_text(with({}));
  for (const char* key : {"path",          "tokens",       "sequences",
                          "method",        "bits",         "group_size",
                          "symmetric",     "grid",         "rows_at_once",
                          "drift",         "alpha",        "adaptive_grid",
                          "refine_passes", "column_order", "row_order",
                          "value_hessian", "row_metric",   "value_row_metric",
                          "beam",          "polish",       "gather",
                          "refine_gain",   "refine_zeros", "damping",
                          "layers",        "kl",           "out",
                          "device",        "reduction",    "lanes",
                          "threads",       "keep",         "statistics",
                          "activations"})
    EXPECT_NE(text.find(std::string("  ") + key + ":"), std::string::npos) << key;
}

std::string identity(const std::vector<std::string>& overrides) {
  return run_identity_text(with(overrides), "aa", "bb");
}

TEST(Identity, DoesNotKnowPathsMachineOrEvaluation) {
  const std::string base = identity({});
  for (const char* same : {"model.path=elsewhere", "calibration.tokens=other.h5", "run.out=there",
                           "run.threads=7", "run.device=cuda", "evaluation.kl=false",
                           "evaluation.tokens=[x]", "run.keep.statistics=true", "quant.beam=1",
                           "quant.polish=0", "quant.refine_gain=0", "quant.refine_zeros=false",
                           "quant.gather=block", "quant.alpha_rule=fixed",
                           "quant.metric_positions=0"})
    EXPECT_EQ(identity({same}), base) << same;
}

TEST(Identity, ChangesWithWhatDecidesTheResult) {
  const std::string base = identity({});
  for (const char* other : {"quant.method=gptq",
                            "quant.bits=3",
                            "quant.group_size=64",
                            "quant.symmetric=true",
                            "quant.grid=mse",
                            "quant.rows_at_once=4",
                            "quant.drift=none",
                            "quant.alpha=0.26",
                            "quant.adaptive_grid=false",
                            "quant.refine_passes=2",
                            "quant.refine_gain=0.01",
                            "quant.refine_zeros=true",
                            "quant.polish=1",
                            "quant.column_order=descending",
                            "quant.row_order=descending",
                            "quant.column_order=pivoted",
                            "quant.beam=8",
                            "quant.value_hessian=input",
                            "quant.row_metric=none",
                            "quant.value_row_metric=output",
                            "quant.damping=0.02",
                            "quant.fallback=rtn",
                            "quant.gather=sublayer",
                            "quant.row_metric=softmax",
                            "quant.metric_positions=4",
                            "quant.alpha_rule=held_out",
                            "quant.layers.mlp.*.bits=4",
                            "calibration.sequences=64",
                            "run.reduction=fast",
                            "run.lanes=8",
                            "run.products=float32"})
    EXPECT_NE(identity({other}), base) << other;
  EXPECT_NE(run_identity_text(with({}), "ab", "bb"), base);
  EXPECT_NE(run_identity_text(with({}), "aa", "bc"), base);
}

/// The run id of old results hangs on this text: it may grow by keys in use, never change.
TEST(Identity, ToTheLetter) {
  EXPECT_EQ(identity({"quant.layers.mlp.down_proj.bits=4"}),
            "identity:\n  schema: 1\n  model_sha256: aa\n  tokens_sha256: bb\n  sequences: 128\n"
            "  reduction: exact\n  lanes: 16\n  products: automatic\n"
            "quant:\n  method: turboboa\n  bits: 2\n  group_size: 0\n  symmetric: false\n  grid: "
            "hessian\n"
            "  rows_at_once: 16\n  drift: sequential\n  alpha: 0.25\n  adaptive_grid: true\n"
            "  refine_passes: 1\n  column_order: original\n  row_order: original\n"
            "  value_hessian: attention\n  row_metric: attention\n  value_row_metric: none\n"
            "  damping: 0.01\n  fallback: none\n  layers:\n    mlp.down_proj: {bits: 4}\n");
}

TEST(YamlText, QuotesWhatYamlWouldMisread) {
  EXPECT_EQ(yaml_text("models/a-1.b"), "models/a-1.b");
  EXPECT_EQ(yaml_text(""), "\"\"");
  EXPECT_EQ(yaml_text("12"), "\"12\"");
  EXPECT_EQ(yaml_text("true"), "\"true\"");
  EXPECT_EQ(yaml_text("a b"), "\"a b\"");
  EXPECT_EQ(yaml_text("a\"b\\\n"), "\"a\\\"b\\\\\\x0a\"");
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(1), "1");
}

}  // namespace
}  // namespace constrictor::config
