// SPDX-License-Identifier: Apache-2.0
#include "config/sweep_deck.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/load_deck.hpp"

namespace constrictor::config {
namespace {

const std::string base =
    "base: {model: {path: m}, calibration: {tokens: t.h5}, run: {out: somewhere}}\n";

Sweep parsed(const std::string& axes) { return parse_sweep(base + axes, "sweep.yaml"); }

std::string refused(const std::string& text) {
  try {
    parse_sweep(text, "sweep.yaml");
  } catch (const UserError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << text;
  return "";
}

std::vector<std::string> labels_of(const Sweep& sweep) {
  std::vector<std::string> labels;
  for (const SweepRun& run : sweep.runs) {
    std::string text;
    for (const std::string& name : run.names) text += (text.empty() ? "" : " ") + name;
    labels.push_back(text);
  }
  return labels;
}
using Labels = std::vector<std::string>;

TEST(SweepDeck, CrossesItsAxesTheFirstSlowest) {
  const Sweep sweep = parsed(
      "axes:\n- {key: quant.method, values: [gptq, boa]}\n- {key: quant.bits, values: [2, 3]}\n");
  EXPECT_EQ(labels_of(sweep), (Labels{"gptq 2", "gptq 3", "boa 2", "boa 3"}));
  EXPECT_EQ(sweep.axes[0].label, "method");
  EXPECT_EQ(sweep.axes[1].keys, Labels{"quant.bits"});
  EXPECT_EQ(sweep.out, "somewhere");
  EXPECT_EQ(sweep.runs[1].spec.quant.method, Method::gptq);
  EXPECT_EQ(sweep.runs[1].spec.quant.bits, 3);
  EXPECT_EQ(sweep.runs[1].spec.quant.drift, Drift::none) << "the preset of the axis' method";
  EXPECT_EQ(sweep.runs[2].spec.quant.method, Method::boa);
}

TEST(SweepDeck, SeveralKeysOfAnAxisMoveTogether) {
  const Sweep sweep = parsed(R"(
axes:
  - label: ordering
    keys: [quant.column_order, quant.row_order]
    values: [[original, original], [descending, original]]
    names: [none, columns]
  - label: last
    key: quant.layers.mlp.down_proj.bits
    values: [4]
)");
  EXPECT_EQ(labels_of(sweep), (Labels{"none 4", "columns 4"}));
  EXPECT_EQ(sweep.runs[1].spec.quant.column_order, Order::descending);
  EXPECT_EQ(sweep.runs[1].spec.quant.row_order, Order::original);
  ASSERT_EQ(sweep.runs[0].spec.quant.overrides.size(), 1u);
  EXPECT_EQ(sweep.runs[0].spec.quant.overrides[0].first, "mlp.down_proj");
}

TEST(SweepDeck, NamesAreTheTextOfTheValues) {
  const Sweep sweep = parsed(R"(
axes:
  - {label: both, keys: [quant.bits, quant.alpha], values: [[2, 0.25], [3, 0.5]]}
  - {key: evaluation.tokens, values: [[a.h5, b.h5]]}
)");
  EXPECT_EQ(labels_of(sweep), (Labels{"2/0.25 [a.h5, b.h5]", "3/0.5 [a.h5, b.h5]"}));
  EXPECT_EQ(sweep.runs[1].spec.quant.alpha, 0.5);
  EXPECT_EQ(sweep.runs[1].spec.evaluation.tokens.size(), 2u);
}

TEST(SweepDeck, ZippedAxesAdvanceTogether) {
  const Sweep sweep = parsed(R"(
axes:
  - {key: quant.bits, values: [2, 3]}
  - {key: quant.method, values: [gptq, boa]}
  - {key: quant.group_size, values: [0, 64]}
zip: [[bits, group_size]]
)");
  EXPECT_EQ(labels_of(sweep), (Labels{"2 gptq 0", "2 boa 0", "3 gptq 64", "3 boa 64"}));
}

TEST(SweepDeck, ExclusionsArePartialMatches) {
  const Sweep sweep = parsed(R"(
axes:
  - {key: quant.method, values: [gptq, boa]}
  - {key: quant.bits, values: [2, 3, 4]}
exclude:
  - {method: boa, bits: [2, 4]}
  - {bits: 3, method: gptq}
)");
  EXPECT_EQ(labels_of(sweep), (Labels{"gptq 2", "gptq 4", "boa 3"}));
}

TEST(SweepDeck, MembersOfOneCellFollowEachOther) {
  const Sweep sweep = parsed(R"(
axes:
  - {key: quant.alpha, values: [0.1, 0.2]}
  - {key: quant.method, values: [gptq, boa]}
cell: {alpha: best}
table: {rows: [method]}
)");
  EXPECT_EQ(labels_of(sweep), (Labels{"0.1 gptq", "0.2 gptq", "0.1 boa", "0.2 boa"}));
  EXPECT_EQ(sweep.axes[0].cell, CellReduction::best);
  EXPECT_EQ(sweep.axes[1].cell, CellReduction::none);
}

TEST(SweepDeck, WhatIsWrongIsToldInOneSentenceWithItsLine) {
  const std::string bits = "axes:\n- {key: quant.bits, values: [2, 3]}\n";
  const std::pair<std::string, std::string> cases[] = {
      {bits, "sweep.yaml: base: missing"},
      {base, "sweep.yaml: axes: missing"},
      {base + bits + "axis: 3\n",
       "sweep.yaml:4: axis: unknown key; known keys are base, axes, zip, "
       "exclude, cell, table"},
      {base + "axes: []\n", "sweep.yaml:2: axes: a list expected"},
      {base + "axes:\n- {key: quant.bits, values: [2], name: x}\n",
       "axes.name: unknown key; known keys are key, keys, label, values, names"},
      {base + "axes:\n- {values: [2]}\n", "every axis has either key or keys"},
      {base + "axes:\n- {key: bits, values: [2]}\n", "'bits' is no key of a deck"},
      {base + "axes:\n- {key: run.out, values: [a, b]}\n", "run.out cannot vary"},
      {base + "axes:\n- {key: quant.bits, values: [2, 2]}\n", "'2' stands here twice"},
      {base + "axes:\n- {key: quant.bits, values: [2, 3], names: [a]}\n", "1 names for 2 values"},
      {base + "axes:\n- {keys: [quant.bits, quant.alpha], values: [[2, 1]]}\n",
       "an axis of several keys needs a label"},
      {base + "axes:\n- label: a\n  keys: [quant.bits, quant.alpha]\n  values: [[2, 1], [3]]\n",
       "sweep.yaml:5: axes.values: every value must be a list of 2"},
      {base + bits + "- {label: bits, key: quant.alpha, values: [1]}\n",
       "two axes are called 'bits'"},
      {base + bits + "zip: [[bits, alpha]]\n",
       "sweep.yaml:4: zip: 'alpha' is no axis; there are bits"},
      {base + bits + "- {key: quant.alpha, values: [1]}\nzip: [[bits, alpha]]\n",
       "'alpha' has 1 values, 'bits' has 2"},
      {base + bits + "zip: [[bits], [bits]]\n", "'bits' is zipped twice"},
      {base + bits + "exclude: [{bit: 2}]\n", "exclude: 'bit' is no axis"},
      {base + bits + "exclude: [{bits: 5}]\n", "'5' is no value of this axis; there are 2, 3"},
      {base + bits + "exclude: [{bits: [2, 3]}]\n", "leaves no run"},
      {base + bits + "cell: {bits: worst}\n", "'worst' is no reduction; there are best, mean"},
      {base + bits + "cell: {seed: best}\n", "cell.seed: unknown key"},
      // What is wrong in a run is told where its value stands.
      {base + "axes:\n- key: quant.bits\n  values:\n  - 2\n  - 9\n",
       "sweep.yaml:6: quant.bits: 9 is out of range, allowed 2..8"},
      {base + "axes:\n- {key: quant.bit, values: [2]}\n", "sweep.yaml:3: quant.bit: unknown key"},
      {base + "axes:\n- {key: model.path.x, values: [2]}\n",
       "there is no section to hold this key"},
      {"base: {model: {path: m}}\n" + bits, "calibration.tokens: missing"},
      {"base: not/there.yaml\n" + bits, "sweep.yaml:1: base: there is no deck not/there.yaml"},
  };
  for (const auto& [text, words] : cases)
    EXPECT_NE(refused(text).find(words), std::string::npos) << text << refused(text);
}

TEST(SweepDeck, TooManyRunsAreRefused) {
  std::string axes = base + "axes:\n";
  for (const char* key : {"alpha", "damping", "refine_passes", "lanes"}) {
    axes += "- {key: quant." + std::string(key) + ", values: [0";
    for (int i = 1; i < 40; ++i) axes += ", " + std::to_string(i);
    axes += "]}\n";
  }
  EXPECT_NE(refused(axes).find("more than a million runs"), std::string::npos);
}

TEST(SweepDeck, TheBaseIsFoundBesideIt) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("constrictor_sweep_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder / "below");
  std::ofstream(folder / "deck.yaml") << "model: {path: m}\ncalibration: {tokens: t}\n"
                                         "quant:\n  bits: 99\n";
  std::ofstream(folder / "below" / "sweep.yaml")
      << "base: ../deck.yaml\naxes: [{key: quant.bits, values: [2, 3]}]\n";
  const Sweep sweep = load_sweep((folder / "below" / "sweep.yaml").string());
  EXPECT_EQ(sweep.runs.size(), 2u) << "the axis replaces the base's value";
  std::filesystem::remove_all(folder);
}

TEST(FolderVariables, ComeFromTheEnvironment) {
  ::setenv("CONSTRICTOR_TEST_FOLDER", "/a/b", 1);
  ::unsetenv("CONSTRICTOR_TEST_ABSENT");
  const std::string deck =
      "model: {path: \"${CONSTRICTOR_TEST_FOLDER}/m\"}\ncalibration: {tokens: \"$x/${";
  const RunSpec run = parse_deck(deck +
                                     "CONSTRICTOR_TEST_FOLDER}.h5\"}\n"
                                     "evaluation: {tokens: [\"e${CONSTRICTOR_TEST_FOLDER}\"]}\n"
                                     "run: {out: \"${CONSTRICTOR_TEST_FOLDER}\"}\n",
                                 "deck.yaml");
  EXPECT_EQ(run.model.path, "/a/b/m");
  EXPECT_EQ(run.calibration.tokens, "$x//a/b.h5");
  EXPECT_EQ(run.evaluation.tokens, std::vector<std::string>{"e/a/b"});
  EXPECT_EQ(run.run.out, "/a/b");
  for (const auto& [rest, words] :
       {std::pair{
            "CONSTRICTOR_TEST_ABSENT}\"}\n",
            "deck.yaml:2: calibration.tokens: '$x/${CONSTRICTOR_TEST_ABSENT}': the environment "
            "variable CONSTRICTOR_TEST_ABSENT is not set"},
        std::pair{"CONSTRICTOR_TEST_FOLDER\"}\n", "has a '${' without its '}'"}})
    try {
      parse_deck(deck + rest, "deck.yaml");
      ADD_FAILURE() << rest;
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace constrictor::config
