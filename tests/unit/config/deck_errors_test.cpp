// SPDX-License-Identifier: Apache-2.0
// Bad decks: the exact sentence for each kind of mistake.
#include <gtest/gtest.h>

#include <fstream>

#include "config/load_deck.hpp"

namespace constrictor::config {
namespace {

const std::string smallest = "model: {path: m}\ncalibration: {tokens: t.h5}\n";  // two lines

/// The sentence that a deck ends in, "" when it is accepted.
std::string complaint(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_deck(text, "deck.yaml", overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}
/// The same for a deck whose line 4 is given, below "quant:".
std::string quant_complaint(const std::string& line) {
  return complaint(smallest + "quant:\n  " + line + "\n");
}

TEST(DeckErrors, UnknownKeys) {
  EXPECT_EQ(
      quant_complaint("groupsize: 4"),
      "deck.yaml:4: quant.groupsize: unknown key; known keys are method, bits, group_size, "
      "symmetric, "
      "grid, rows_at_once, drift, alpha, adaptive_grid, refine_passes, refine_gain, refine_zeros, "
      "polish, column_order, row_order, beam, value_hessian, row_metric, value_row_metric, "
      "rounding_steps, rounding_rate, rounding_lambda, damping, fallback, gather, metric_positions, alpha_rule, held_out_lanes, layers");
  EXPECT_EQ(complaint(smallest + "quantization: {bits: 2}\n"),
            "deck.yaml:3: quantization: unknown key; known keys are model, calibration, quant, "
            "evaluation, run");
  EXPECT_EQ(complaint(smallest + "run:\n  keep:\n    all: true\n"),
            "deck.yaml:5: run.keep.all: unknown key; known keys are statistics, activations");
  EXPECT_EQ(complaint("model: {path: m, dtype: bf16}\ncalibration: {tokens: t}\n"),
            "deck.yaml:1: model.dtype: unknown key; known keys are path");
}

TEST(DeckErrors, Ranges) {
  EXPECT_EQ(quant_complaint("bits: 9"), "deck.yaml:4: quant.bits: 9 is out of range, allowed 2..8");
  EXPECT_EQ(quant_complaint("bits: 1"), "deck.yaml:4: quant.bits: 1 is out of range, allowed 2..8");
  EXPECT_EQ(quant_complaint("group_size: -1"),
            "deck.yaml:4: quant.group_size: -1 is out of range, allowed 0 or more");
  EXPECT_EQ(quant_complaint("alpha: 1.5"),
            "deck.yaml:4: quant.alpha: 1.5 is out of range, allowed 0..1");
  EXPECT_EQ(quant_complaint("beam: 65"),
            "deck.yaml:4: quant.beam: 65 is out of range, allowed 1..64");
  EXPECT_EQ(quant_complaint("damping: 0"),
            "deck.yaml:4: quant.damping: 0 is out of range, allowed 1e-08..1");
  EXPECT_EQ(quant_complaint("rows_at_once: 0"),
            "deck.yaml:4: quant.rows_at_once: 0 is out of range, allowed 1..4096");
  EXPECT_EQ(quant_complaint("refine_passes: 101"),
            "deck.yaml:4: quant.refine_passes: 101 is out of range, allowed 0..100");
  EXPECT_EQ(complaint(smallest + "run: {lanes: 0}\n"),
            "deck.yaml:3: run.lanes: 0 is out of range, allowed 1..1024");
  EXPECT_EQ(complaint(smallest + "run: {threads: 4097}\n"),
            "deck.yaml:3: run.threads: 4097 is out of range, allowed 0..4096");
  EXPECT_EQ(complaint("model: {path: m}\ncalibration:\n  tokens: t\n  sequences: 0\n"),
            "deck.yaml:4: calibration.sequences: 0 is out of range, allowed 1 or more");
}

TEST(DeckErrors, Types) {
  EXPECT_EQ(quant_complaint("bits: two"), "deck.yaml:4: quant.bits: 'two' is not an integer");
  EXPECT_EQ(quant_complaint("bits: 2.0"), "deck.yaml:4: quant.bits: '2.0' is not an integer");
  EXPECT_EQ(quant_complaint("bits: '2'"), "deck.yaml:4: quant.bits: '2' is not an integer");
  EXPECT_EQ(quant_complaint("bits: 99999999999999999999"),
            "deck.yaml:4: quant.bits: '99999999999999999999' is not an integer");
  EXPECT_EQ(quant_complaint("bits:"), "deck.yaml:4: quant.bits: has no value, expected an integer");
  EXPECT_EQ(quant_complaint("bits: [2, 3]"),
            "deck.yaml:4: quant.bits: is a list, expected an integer");
  EXPECT_EQ(quant_complaint("bits: {two: 2}"),
            "deck.yaml:4: quant.bits.choices: two widths or more expected, for example [2, 3, 4]");
  EXPECT_EQ(quant_complaint("alpha: half"), "deck.yaml:4: quant.alpha: 'half' is not a number");
  EXPECT_EQ(quant_complaint("alpha: nan"), "deck.yaml:4: quant.alpha: 'nan' is not a number");
  EXPECT_EQ(quant_complaint("alpha: inf"),
            "deck.yaml:4: quant.alpha: inf is out of range, allowed 0..1");
  EXPECT_EQ(quant_complaint("symmetric: yes"),
            "deck.yaml:4: quant.symmetric: 'yes' is neither true nor false");
  EXPECT_EQ(complaint(smallest + "quant: 3\n"), "deck.yaml:3: quant: a section with keys expected");
  EXPECT_EQ(complaint(smallest + "quant: [bits]\n"),
            "deck.yaml:3: quant: a section with keys expected");
  EXPECT_EQ(complaint(smallest + "evaluation: {tokens: a.h5}\n"),
            "deck.yaml:3: evaluation.tokens: a list expected, for example [a, b]");
  EXPECT_EQ(complaint(smallest + "evaluation: {tokens: [[a.h5]]}\n"),
            "deck.yaml:3: evaluation.tokens: every item must be a text");
  EXPECT_EQ(
      complaint("model: {path: m}\ncalibration: {tokens: t, tokens_sha256: abc}\n"),
      "deck.yaml:2: calibration.tokens_sha256: 'abc' is not a SHA-256 of 64 hexadecimal digits");
}

TEST(DeckErrors, WidthBudgets) {
  EXPECT_EQ(quant_complaint("bits: {average: 4.5, choices: [4, 2, 3]}"),
            "deck.yaml:4: quant.bits.average: 4.5 is out of range, allowed 2..4");
  EXPECT_EQ(quant_complaint("bits: {average: 2.5, choices: [2, 9]}"),
            "deck.yaml:4: quant.bits.choices: 9 is out of range, allowed 2..8");
  EXPECT_EQ(quant_complaint("bits: {average: 2.5, choices: [3]}"),
            "deck.yaml:4: quant.bits.choices: two widths or more expected, for example [2, 3, 4]");
  EXPECT_EQ(quant_complaint("bits: {average: 2.5, choices: [2, 3, 2]}"),
            "deck.yaml:4: quant.bits.choices: a width stands here twice");
  EXPECT_EQ(quant_complaint("bits: {choices: [2, 3]}"),
            "deck.yaml:4: quant.bits.average: missing, and has no default");
  EXPECT_EQ(quant_complaint("bits: {average: 2.5, choices: [2, 3], scale: 1}"),
            "deck.yaml:4: quant.bits.scale: unknown key; known keys are choices, average");
  EXPECT_EQ(quant_complaint("layers: {\"mlp.*\": {bits: {average: 2.5, choices: [2, 3]}}}"),
            "deck.yaml:4: quant.layers.mlp.*.bits: a budget holds for all layers together and "
            "stands in quant.bits; here a width, 2..8");
}

TEST(DeckErrors, Words) {
  EXPECT_EQ(quant_complaint("method: awq"),
            "deck.yaml:4: quant.method: 'awq' is not known; allowed: rtn, gptq, boa, turboboa, "
            "two_stage, aespa, constrictor");
  EXPECT_EQ(quant_complaint("drift: maybe"),
            "deck.yaml:4: quant.drift: 'maybe' is not known; allowed: none, sequential, exact");
  EXPECT_EQ(quant_complaint("fallback: gptq"),
            "deck.yaml:4: quant.fallback: 'gptq' is not known; allowed: none, rtn");
  EXPECT_EQ(complaint(smallest + "run: {device: gpu}\n"),
            "deck.yaml:3: run.device: 'gpu' is not known; allowed: cpu, cuda");
}

TEST(DeckErrors, FeaturesOfLaterVersions) {
  EXPECT_EQ(
      quant_complaint("row_metric: hard"),
      "deck.yaml:4: quant.row_metric: 'hard' is not known; allowed: none, attention, softmax");
  EXPECT_EQ(quant_complaint("polish: 101"),
            "deck.yaml:4: quant.polish: 101 is out of range, allowed 0..100");
  EXPECT_EQ(quant_complaint("refine_gain: 2"),
            "deck.yaml:4: quant.refine_gain: 2 is out of range, allowed 0..1");
  EXPECT_EQ(quant_complaint("gather: layer"),
            "deck.yaml:4: quant.gather: 'layer' is not known; allowed: block, sublayer");
  EXPECT_EQ(quant_complaint("held_out_lanes: 0"),
            "deck.yaml:4: quant.held_out_lanes: 0 is out of range, allowed 1..512");
}

TEST(DeckErrors, LayerOverrides) {
  EXPECT_EQ(complaint(smallest + "quant:\n  layers:\n    mlp.down_proj:\n      bits: 9\n"),
            "deck.yaml:6: quant.layers.mlp.down_proj.bits: 9 is out of range, allowed 2..8");
  EXPECT_EQ(quant_complaint("layers: {mlp.down_proj: 4}"),
            "deck.yaml:4: quant.layers.mlp.down_proj: a section with keys expected");
  EXPECT_EQ(complaint(smallest + "quant:\n  layers:\n    mlp: {nbits: 4}\n").substr(0, 51),
            "deck.yaml:5: quant.layers.mlp.nbits: unknown key; k");
}

TEST(DeckErrors, MissingPaths) {
  EXPECT_EQ(complaint("calibration: {tokens: t}\n"),
            "deck.yaml: model.path: missing, and has no default");
  EXPECT_EQ(complaint("model: {path: m}\ncalibration:\n  sequences: 3\n"),
            "deck.yaml:2: calibration.tokens: missing, and has no default");
  EXPECT_EQ(complaint("model: {path: ''}\n"), "deck.yaml:1: model.path: must not be empty");
}

TEST(DeckErrors, DuplicateKeys) {
  EXPECT_EQ(complaint(smallest + "quant:\n  bits: 2\n  bits: 3\n"),
            "deck.yaml:5: quant.bits: stands here a second time");
  EXPECT_EQ(complaint(smallest + "model: {path: n}\n"),
            "deck.yaml:3: model: stands here a second time");
}

TEST(DeckErrors, Syntax) {
  EXPECT_EQ(complaint("model: {path: m\n"), "deck.yaml:2: not YAML: end of map flow not found");
  EXPECT_EQ(complaint("model:\n  path: m\n bits: 2\n").substr(0, 21), "deck.yaml:3: not YAML");
  EXPECT_EQ(complaint(""), "deck.yaml: the deck is empty");
  EXPECT_EQ(complaint("- a\n- b\n"), "deck.yaml:1: sections such as 'model:' expected");
  EXPECT_EQ(complaint("a: 1\n---\nb: 2\n"),
            "deck.yaml: one document expected, found several (---)");
  EXPECT_EQ(complaint("? [a]\n: 2\n"), "deck.yaml:1: a key must be a word");
  EXPECT_EQ(
      complaint(smallest + "quant: {a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}}\n").substr(0, 13),
      "deck.yaml:3: ");
}

TEST(DeckErrors, Overrides) {
  EXPECT_EQ(complaint(smallest, {"quant.bits=x"}), "--set quant.bits=x: 'x' is not an integer");
  EXPECT_EQ(complaint(smallest, {"quant.bits=9"}),
            "--set quant.bits=9: 9 is out of range, allowed 2..8");
  EXPECT_EQ(complaint(smallest + "quant:\n  bits: 3\n", {"quant.bits="}),
            "--set quant.bits=: has no value, expected an integer");
  EXPECT_EQ(complaint(smallest, {"quant.bit=3"}).substr(0, 36),
            "--set quant.bit=3: unknown key; know");
  EXPECT_EQ(complaint(smallest, {"foo.bar=3"}),
            "--set foo.bar=3: foo: unknown key; known keys are model, calibration, quant, "
            "evaluation, run");
  const std::string form = ": section.key=value expected, for example quant.bits=3";
  for (const char* bad : {"quant.bits", "bits=3", "=3", ".bits=3", "quant.=3", "quant..bits=3", ""})
    EXPECT_EQ(complaint(smallest, {bad}), "--set " + std::string(bad) + form);
  EXPECT_EQ(complaint(smallest, {"quant.bits=[2"}).substr(0, 30), "--set quant.bits=[2: not YAML:");
  EXPECT_EQ(complaint(smallest, {"model.path.name=3"}),
            "--set model.path.name=3: there is no section to hold this key");
  EXPECT_EQ(complaint(smallest, {"quant.layers={mlp: {bits: 9}}"}),
            "--set quant.layers={mlp: {bits: 9}}: quant.layers.mlp.bits: 9 is out of range, "
            "allowed 2..8");
}

TEST(DeckErrors, Files) {
  EXPECT_THROW(load_deck("/nonexistent/deck.yaml"), UserError);
  try {
    load_deck("/nonexistent/deck.yaml");
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "/nonexistent/deck.yaml: cannot open the deck: No such file or directory");
  }
  EXPECT_THROW(load_deck(testing::TempDir()), UserError) << "a folder is no deck";
  const std::string path = testing::TempDir() + "deck_errors_test.yaml";
  std::ofstream(path) << std::string((1 << 20) + 1, '#');
  EXPECT_THROW(load_deck(path), UserError);
}

}  // namespace
}  // namespace constrictor::config
