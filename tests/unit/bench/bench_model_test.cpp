// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_model.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "bench/bench_shapes.hpp"
#include "core/error.hpp"
#include "io/model_config.hpp"
#include "model/forward.hpp"
#include "schedule/operations.hpp"

namespace constrictor::bench {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};
Moments moments_of(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (const float v : values) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  const auto n = static_cast<double>(values.size());
  return {sum / n, squares / n - sum / n * sum / n};
}

bool equal(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(a.values().begin(), a.values().end(), b.values().begin());
}

TEST(Shapes, WeightsOfPublishedModels) {
  // Blocks, and embeddings with head where it is its own: 8.03, 1.24, 70.6 billion, 125 million.
  const auto parameters = [](const std::string& name) {
    const ModelSpec m = shape_of_model(name);
    const double ends = static_cast<double>(m.vocabulary * m.hidden) * (m.tied_embeddings ? 1 : 2);
    return static_cast<double>(m.blocks) * schedule::linear_weights(m) + ends;
  };
  EXPECT_NEAR(parameters("llama-3-8b"), 8.03e9, 0.005e9);
  EXPECT_NEAR(parameters("llama-3.2-1b"), 1.236e9, 0.001e9);
  EXPECT_NEAR(parameters("llama-3.1-70b"), 70.55e9, 0.05e9);
  EXPECT_NEAR(parameters("opt-125m"), 125e6, 2e6);
  EXPECT_THROW(shape_of_model("llama-4"), UserError);
}

TEST(Shapes, DemoIsTheBundledModel) {
  const ModelSpec file =
      io::read_model_config(CONSTRICTOR_SOURCE_DIR "/experiments/demo/model/config.json");
  const ModelSpec m = shape_of_model("demo");
  EXPECT_EQ(m.family, file.family);
  EXPECT_EQ(m.activation, file.activation);
  for (const auto member :
       {&ModelSpec::blocks, &ModelSpec::hidden, &ModelSpec::feed_forward, &ModelSpec::heads,
        &ModelSpec::kv_heads, &ModelSpec::head_dim, &ModelSpec::vocabulary,
        &ModelSpec::max_positions, &ModelSpec::embedding_width})
    EXPECT_EQ(m.*member, file.*member);
  EXPECT_EQ(m.rope.theta, file.rope.theta);
  EXPECT_EQ(m.tied_embeddings, file.tied_embeddings);
}

TEST(RandomBlock, HasTheVarianceItPromises) {
  const ModelSpec m = shape_of_model("opt-125m");
  const Block block = random_block(m, 0, Products::float32, 1);
  ASSERT_EQ(block.layers.size(), 6u);
  for (const Layer& layer : block.layers) {
    const auto [mean, variance] = moments_of(layer.weight.values());
    const auto in = static_cast<double>(layer.weight.cols());
    EXPECT_NEAR(mean * std::sqrt(in), 0, 0.01) << layer.name;
    EXPECT_NEAR(variance * in, 1, 0.01) << layer.name;
    EXPECT_EQ(layer.bias.size(), static_cast<std::size_t>(layer.weight.rows())) << layer.name;
    EXPECT_TRUE(layer.weight_bf16.empty());
  }
}

TEST(RandomBlock, DependsOnSeedBlockAndLayerAndOnNothingElse) {
  const ModelSpec m = shape_of_model("demo");
  const auto weight = [&](Index index, std::uint64_t seed, Role role) {
    return random_block(m, index, Products::float32, seed).layer(role).weight;
  };
  const auto query = weight(3, 7, Role::query);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_TRUE(equal(weight(3, 7, Role::query), query));
  omp_set_num_threads(threads);
  EXPECT_FALSE(equal(weight(2, 7, Role::query), query));
  EXPECT_FALSE(equal(weight(3, 8, Role::query), query));
  EXPECT_FALSE(equal(weight(3, 7, Role::output), query));
}

TEST(RandomBlock, Bfloat16CopiesAreTheWeights) {
  const Block block = random_block(shape_of_model("demo"), 0, Products::bfloat16, 1);
  for (const Layer& layer : block.layers)
    for (Index i = 0; i < layer.weight.size(); ++i)
      ASSERT_EQ(static_cast<float>(layer.weight_bf16.data()[i]), layer.weight.data()[i]);
}

TEST(RandomHiddenStates, ArePartsOfTheSameWhole) {
  const ModelSpec m = shape_of_model("demo");
  const auto all = random_hidden_states(m, 0, 6, 16, 1),
             part = random_hidden_states(m, 2, 5, 16, 1);
  ASSERT_EQ(part.rows(), 48);
  for (Index r = 0; r < part.rows(); ++r)
    for (Index c = 0; c < m.hidden; ++c) ASSERT_EQ(part(r, c), all(32 + r, c));
  EXPECT_EQ(random_hidden_states(m, 3, 3, 16, 1).rows(), 0);
}

TEST(RandomModel, ActivationsStayInBounds) {
  for (const std::string name : {"demo", "opt-125m"}) {
    const ModelSpec m = shape_of_model(name);
    Matrix<float> x = random_hidden_states(m, 0, 1, 64, 1);
    for (Index b = 0; b < 4; ++b)
      x = model::forward(m, random_block(m, b, Products::float32, 1), x.view(), 64,
                         Products::float32, model::Keep::output_only)
              .output;
    const auto [mean, variance] = moments_of(x.values());
    EXPECT_GT(variance, 0.5) << name;
    EXPECT_LT(variance, 20) << name;
  }
}

}  // namespace
}  // namespace constrictor::bench
