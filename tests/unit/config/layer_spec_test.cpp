// SPDX-License-Identifier: Apache-2.0
#include "config/layer_spec.hpp"

#include <gtest/gtest.h>

#include "config/load_deck.hpp"

namespace constrictor::config {
namespace {

QuantSpec quant_with(const std::vector<std::string>& overrides) {
  return parse_deck("model: {path: m}\ncalibration: {tokens: t}\n", "deck.yaml", overrides).quant;
}

TEST(Pattern, StarsStandForAnything) {
  EXPECT_TRUE(matches("mlp.down_proj", "mlp.down_proj"));
  EXPECT_FALSE(matches("mlp.down", "mlp.down_proj"));
  EXPECT_FALSE(matches("down_proj", "mlp.down_proj"));
  EXPECT_TRUE(matches("*down_proj", "mlp.down_proj"));
  EXPECT_TRUE(matches("mlp.*", "mlp.down_proj"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*.q_*", "3.self_attn.q_proj"));
  EXPECT_FALSE(matches("3.*", "13.mlp.up_proj"));
  EXPECT_FALSE(matches("a*b*c", "abb"));
  EXPECT_TRUE(matches("a*b*c", "axbxbc"));
  EXPECT_FALSE(matches("longer*", "long"));
}

TEST(LayerSpec, WithoutOverridesIsTheDecks) {
  const QuantSpec quant = quant_with({"quant.bits=3"});
  EXPECT_EQ(layer_spec(quant, 0, "mlp.up_proj").bits, 3);
}

TEST(LayerSpec, PatternsOfNameAndBlockLaterOnesWin) {
  const QuantSpec quant = quant_with({"quant.layers.mlp.*.bits=4", "quant.layers.3.*.bits=8",
                                      "quant.layers.3.mlp.down_proj.group_size=32"});
  EXPECT_EQ(layer_spec(quant, 0, "self_attn.q_proj").bits, 2);
  EXPECT_EQ(layer_spec(quant, 0, "mlp.down_proj").bits, 4);
  EXPECT_EQ(layer_spec(quant, 3, "mlp.down_proj").bits, 8);
  EXPECT_EQ(layer_spec(quant, 3, "mlp.down_proj").group_size, 32);
  EXPECT_EQ(layer_spec(quant, 3, "self_attn.q_proj").bits, 8);
  EXPECT_EQ(layer_spec(quant, 13, "self_attn.q_proj").bits, 2);
  EXPECT_TRUE(layer_spec(quant, 3, "mlp.down_proj").overrides.empty());
}

TEST(LayerSpec, AWidthOfItsOwnTakesALayerOutOfTheBudget) {
  const RunSpec run = parse_deck(
      "model: {path: m}\ncalibration: {tokens: t}\n", "deck.yaml",
      {"quant.bits={average: 2.5, choices: [4, 2, 3]}", "quant.layers.mlp.down_proj.bits=4"});
  const auto open = layer_spec(run.quant, 0, "mlp.up_proj");
  EXPECT_EQ(open.budget.choices, (std::vector<int>{2, 3, 4}));
  EXPECT_EQ(open.budget.average, 2.5);
  const auto fixed = layer_spec(run.quant, 0, "mlp.down_proj");
  EXPECT_FALSE(fixed.budget.on());
  EXPECT_EQ(fixed.bits, 4);
}

TEST(LayerSpec, AnotherMethodBringsItsPreset) {
  const QuantSpec quant = quant_with({"quant.layers={mlp.*: {method: gptq, refine_passes: 2}}"});
  const QuantSpec mlp = layer_spec(quant, 0, "mlp.up_proj");
  EXPECT_EQ(mlp.method, Method::gptq);
  EXPECT_EQ(mlp.drift, Drift::none);
  EXPECT_EQ(mlp.row_metric, RowMetric::none);
  EXPECT_EQ(mlp.refine_passes, 2);
  EXPECT_EQ(layer_spec(quant, 0, "self_attn.q_proj").drift, Drift::sequential);
}

TEST(LayerSpec, TheSameMethodKeepsWhatTheDeckSays) {
  const QuantSpec quant = quant_with({"quant.drift=none", "quant.layers.mlp.*.method=turboboa"});
  EXPECT_EQ(layer_spec(quant, 0, "mlp.up_proj").drift, Drift::none);
}

TEST(LayerSpec, TwoStageBringsAGroupSizeWhereTheDeckHasNone) {
  EXPECT_EQ(quant_with({"quant.method=two_stage"}).group_size, 128);
  EXPECT_EQ(quant_with({"quant.method=two_stage", "quant.group_size=32"}).group_size, 32);
  EXPECT_EQ(quant_with({"quant.method=two_stage", "quant.group_size=0"}).group_size, 0);
  const QuantSpec quant =
      quant_with({"quant.group_size=64", "quant.layers={mlp.*: {method: two_stage}}"});
  EXPECT_EQ(layer_spec(quant, 0, "mlp.up_proj").group_size, 64);
  const QuantSpec rows = quant_with({"quant.layers={mlp.*: {method: two_stage}}"});
  EXPECT_EQ(layer_spec(rows, 0, "mlp.up_proj").group_size, 128);
  EXPECT_EQ(layer_spec(rows, 0, "self_attn.q_proj").group_size, 0);
}

TEST(LayerSpec, SymmetricGridsHaveNoZerosToRefine) {
  const QuantSpec quant =
      quant_with({"quant.refine_zeros=true", "quant.layers={mlp.*: {symmetric: true}}"});
  EXPECT_TRUE(layer_spec(quant, 0, "self_attn.q_proj").refine_zeros);
  try {
    (void)layer_spec(quant, 0, "mlp.up_proj");
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "quant.refine_zeros: true needs quant.symmetric: false, but it is true for "
                 "mlp.up_proj");
  }
}

TEST(LayerSpec, BeamAndSequentialDriftDoNotGoTogether) {
  const QuantSpec quant =
      quant_with({"quant.beam=4", "quant.drift=exact", "quant.layers.*.k_proj.drift=sequential"});
  EXPECT_EQ(layer_spec(quant, 0, "self_attn.q_proj").beam, 4);
  try {
    layer_spec(quant, 0, "self_attn.k_proj");
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "quant.beam: 4 needs quant.drift: none or exact, but it is sequential for "
                 "self_attn.k_proj");
  }
}

TEST(LayerSpec, WhatTheDeviceCannotDoIsSaid) {
  QuantSpec spec;
  spec.method = Method::two_stage;
  spec.polish = 2;
  spec.refine_gain = 0.01;
  EXPECT_NO_THROW(require_device_can("cuda", spec, "mlp.up_proj"));
  spec.refine_zeros = true;
  EXPECT_NO_THROW(require_device_can("cpu", spec, "mlp.up_proj"));
  try {
    require_device_can("cuda", spec, "mlp.up_proj");
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "run.device: cuda has no quant.refine_zeros yet, which mlp.up_proj asks for; use "
                 "run.device=cpu");
  }
}

TEST(Patterns, ThatMatchNothingAreReported) {
  const std::vector<std::string> names = {"0.self_attn.q_proj", "0.mlp.up_proj",
                                          "1.self_attn.q_proj", "1.mlp.up_proj"};
  EXPECT_NO_THROW(require_patterns_match(
      quant_with({"quant.layers.1.*.bits=4", "quant.layers.mlp.up_proj.bits=3"}), names));
  try {
    require_patterns_match(quant_with({"quant.layers.mlp.dwn.bits=4"}), names);
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(
        error.what(),
        "quant.layers: 'mlp.dwn' matches no layer; layers are self_attn.q_proj, mlp.up_proj, "
        "with the block in front (3.self_attn.q_proj) or '*' where wanted");
  }
  EXPECT_THROW(require_patterns_match(quant_with({"quant.layers.2.*.bits=4"}), names), UserError);
}

TEST(Groups, MustDivideTheInputs) {
  QuantSpec spec;
  EXPECT_NO_THROW(require_groups_fit(spec, "mlp.up_proj", 100));
  spec.group_size = 32;
  EXPECT_NO_THROW(require_groups_fit(spec, "mlp.up_proj", 96));
  try {
    require_groups_fit(spec, "mlp.up_proj", 100);
    ADD_FAILURE() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(),
                 "quant.group_size: 32 does not divide the 100 inputs of mlp.up_proj");
  }
}

}  // namespace
}  // namespace constrictor::config
