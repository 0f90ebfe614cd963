// SPDX-License-Identifier: Apache-2.0
// Against numbers counted by hand.
#include "schedule/operations.hpp"

#include <gtest/gtest.h>

namespace constrictor::schedule {
namespace {

/// hidden 4, 2 heads of 2 with one key-value head, feed-forward 6.
ModelSpec small_model() {
  ModelSpec m;
  m.hidden = 4;
  m.feed_forward = 6;
  m.heads = 2;
  m.kv_heads = 1;
  m.head_dim = 2;
  return m;
}

SumShape small_shape() {
  return {.hidden = 4,
          .attention_width = 4,
          .feed_forward = 6,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 2};
}

TEST(Operations, WeightsOfABlock) {
  // Llama: q 16, k 8, v 8, o 16; gate, up, down 24 each.
  EXPECT_EQ(linear_weights(small_model()), 48 + 72);
  ModelSpec opt = small_model();
  opt.gated = false;
  EXPECT_EQ(linear_weights(opt), 48 + 48);
}

TEST(Operations, ForwardOfThreeTokens) {
  // Linear: 2 * 120 * 3. Attention: 6 pairs (query, key), 2 heads, 2 * 2 for Q K' and 2 * 2 for A
  // V.
  EXPECT_EQ(forward_operations(small_model(), 1, 3), 720 + 6 * 2 * 8);
  EXPECT_EQ(forward_operations(small_model(), 5, 3), 5 * (720 + 96));
  EXPECT_EQ(forward_operations(small_model(), 0, 3), 0);
}

TEST(Operations, SumsOfOneToken) {
  // Triangles of 4, 4, 4 have 10 entries, that of 6 has 21; two operations each.
  SumShape shape = small_shape();
  EXPECT_EQ(sum_operations(shape, 1, 1), 2 * (3 * 10 + 21));
  shape.drift = true;  // and whole squares
  EXPECT_EQ(sum_operations(shape, 1, 1), 2 * (3 * 10 + 21) + 2 * (3 * 16 + 36));
  shape.drift = false;
  shape.row_metric = true;  // two heads of queries, one of keys, triangles of 2: 3 entries
  EXPECT_EQ(sum_operations(shape, 1, 1), 2 * (3 * 10 + 21) + 3 * 2 * 3);
}

TEST(Operations, ValueSumsOfThreeTokens) {
  SumShape plain = small_shape(), weighted = plain;
  weighted.value_attention = true;
  // Probabilities: 6 pairs * 2 heads * 2 * 2. Rows of A have 1, 2, 3 entries: A' A takes triangles
  // of 1 + 3 + 6 = 10 entries a head, 2 operations each. M X~: 2 * 3 * 3 * 4. Sum: 3 tokens * 20.
  const double probabilities = 6 * 2 * 4, squares = 2 * 2 * 10, product = 72, sum = 60;
  EXPECT_EQ(sum_operations(weighted, 1, 3) - sum_operations(plain, 1, 3),
            probabilities + squares + product + sum);
  plain.drift = weighted.drift = true;
  // A_full' A: squares of 1 + 4 + 9 = 14 entries a head; sum over tokens: 3 * 2 * 16 more.
  EXPECT_EQ(sum_operations(weighted, 1, 3) - sum_operations(plain, 1, 3),
            2 * probabilities + squares + 2 * 2 * 14 + 2 * product + sum + 96);
}

TEST(Operations, FactorsOfOneSide) {
  EXPECT_EQ(factor_operations({.inputs = 3}), 18);
  EXPECT_EQ(factor_operations({.inputs = 3, .factor = false}), 0);
  EXPECT_EQ(factor_operations({.inputs = 3, .panel = true}), 18 + 36);
  EXPECT_EQ(factor_operations({.inputs = 3, .panel = true, .shift = true}), 18 + 36 + 27);
  EXPECT_EQ(factor_operations({.inputs = 3, .shift = true}), 18 + 54);
  EXPECT_EQ(factor_operations({.inputs = 3, .pivoted = true}), 18 + 9);
}

TEST(Operations, SolvingRows) {
  QuantSpec rounding;
  rounding.method = Method::rtn;
  rounding.grid = GridSearch::minmax;
  EXPECT_EQ(solve_operations(rounding, {.rows = 1, .inputs = 10}), 600);
  QuantSpec full;
  EXPECT_EQ(solve_operations(full, {.rows = 1, .inputs = 10}), 1000);
  EXPECT_EQ(solve_operations(full, {.rows = 7, .inputs = 10}), 7000);
  EXPECT_EQ(solve_operations(full, {.rows = 1, .inputs = 10, .drift = true}), 1300);
  QuantSpec polished = full;
  polished.polish = 2;
  EXPECT_EQ(solve_operations(polished, {.rows = 1, .inputs = 10}), 1000 + 2 * 200);
  QuantSpec wide = full;
  wide.beam = 8;
  EXPECT_EQ(solve_operations(wide, {.rows = 1, .inputs = 10}), 1000 + 7 * 100);
  // d n = 40: once for the update, 8 for products with H_out, 2 for a pass; the shift 200.
  EXPECT_EQ(solve_operations(full, {.rows = 1, .inputs = 10, .head_rows = 4, .drift = true}),
            1300 + 11 * 40 + 200);
  full.method = Method::aespa;
  full.rounding_steps = 3;
  EXPECT_EQ(solve_operations(full, {.rows = 1, .inputs = 10}), 1000 + 3 * 200 + 400);
}

TEST(Operations, BudgetOfTheDesign) {
  // Llama-3-8B, 128 x 2048 tokens, all features: "about 32 PFLOP of matrix work", of which the
  // forward passes and sums are the most. 218103808 weights a block.
  ModelSpec m;
  m.hidden = 4096;
  m.feed_forward = 14336;
  m.heads = 32;
  m.kv_heads = 8;
  m.head_dim = 128;
  SumShape first{.hidden = 4096,
                 .attention_width = 4096,
                 .feed_forward = 14336,
                 .heads = 32,
                 .kv_heads = 8,
                 .head_dim = 128,
                 .value_attention = true,
                 .row_metric = true};
  SumShape later = first;
  later.drift = true;
  EXPECT_EQ(linear_weights(m), 218103808);
  const double forward = forward_operations(m, 128, 2048);
  EXPECT_NEAR(forward * 1e-12, 118.75, 0.01);
  EXPECT_NEAR(sum_operations(first, 128, 2048) * 1e-12, 151.57, 0.01);
  EXPECT_NEAR(sum_operations(later, 128, 2048) * 1e-12, 416.94, 0.01);
  const double whole = 2 * forward + sum_operations(first, 128, 2048) +
                       31 * (3 * forward + sum_operations(later, 128, 2048));
  EXPECT_GT(whole, 0.7 * 32e15);
  EXPECT_LT(whole, 32e15);
}

}  // namespace
}  // namespace constrictor::schedule
