// SPDX-License-Identifier: Apache-2.0
// The demo's shape: hidden 128, feed-forward 352, 4 heads of 32 with 2 key-value heads.
#include "bench/bench_work.hpp"

#include <gtest/gtest.h>

#include "bench/bench_model.hpp"
#include "bench/bench_shapes.hpp"
#include "pipeline/job.hpp"
#include "schedule/operations.hpp"

namespace constrictor::bench {
namespace {

struct Case {
  ModelSpec model = shape_of_model("demo");
  Block block = outline(model);
  std::vector<QuantSpec> specs;
  SumShape shape;
  backend::LayerInputs inputs;
  calib::Shard shard = calib::shard_of(8, 16, 16, 1, 0);

  explicit Case(const QuantSpec& quant) : specs(block.layers.size(), quant) {
    const auto roles = pipeline::layer_roles(model);
    const auto step = backend::steps_of(Gather::block, roles).front();
    shape = backend::sum_shape(model, specs, roles, step);
    inputs = backend::plan_layers(model, block, specs, 16, step);
  }
};

constexpr double weights = 128 * 128 * 2 + 64 * 128 * 2 + 3 * 352 * 128;

QuantSpec gptq() {
  QuantSpec quant;
  quant.method = Method::gptq;
  quant.drift = Drift::none;
  quant.value_hessian = ValueHessian::input;
  return quant;
}

TEST(BenchWork, PhasesAreMadeOfTheCountsOfTheSchedule) {
  const Case c{QuantSpec{}};
  const auto one = operations_of(c.model, c.inputs, c.shape, c.shard, 1),
             two = operations_of(c.model, c.inputs, c.shape, c.shard, 2);
  const double forward = schedule::forward_operations(c.model, 8, 16);
  EXPECT_EQ(one.advance, forward);
  EXPECT_EQ(one.statistics, forward + schedule::sum_operations(c.shape, 8, 16));
  EXPECT_EQ(two.statistics - one.statistics, forward);
  EXPECT_EQ(one.solve, two.solve);
}

TEST(BenchWork, FactorsOfGptqByHand) {
  // One side for the attention's input, its output, the MLP's input and the last layer: 2 n³ / 3.
  const Case c{gptq()};
  ASSERT_EQ(c.inputs.units.size(), 4u);
  EXPECT_DOUBLE_EQ(operations_of(c.model, c.inputs, c.shape, c.shard, 1).factor,
                   2. / 3 * (3. * 128 * 128 * 128 + 352. * 352 * 352));
}

TEST(BenchWork, DriftIsWorkInLaterBlocksOnly) {
  const Case c{QuantSpec{}};
  SumShape first = c.shape;
  first.drift = false;
  const auto before = operations_of(c.model, c.inputs, first, c.shard, 1),
             after = operations_of(c.model, c.inputs, c.shape, c.shard, 2);
  EXPECT_GT(after.factor, 2 * before.factor);
  EXPECT_GT(after.solve, before.solve);
  EXPECT_LT(shares_of(c.inputs, first, backend::host_cut).sides_bytes,
            shares_of(c.inputs, c.shape, backend::host_cut).sides_bytes);
}

TEST(BenchWork, SharesByHand) {
  const Case c{gptq()};
  const auto shares = shares_of(c.inputs, c.shape, backend::host_cut);
  EXPECT_EQ(shares.sums_bytes, static_cast<double>(bytes_of_sums(c.shape)));
  EXPECT_EQ(shares.sides.size(), 4u);
  EXPECT_EQ(shares.sides_bytes, 4. * 3 * (3 * 128 * 128 + 352 * 352));
  // Tiles of 128 rows: q 1, k 1, v 1, o 1, gate 3, up 3, down 1; each row brings a scale and a
  // zero.
  EXPECT_EQ(shares.rows.size(), 11u);
  const double rows = 128 + 64 + 64 + 128 + 352 + 352 + 128;
  EXPECT_EQ(shares.results_bytes, weights + 8 * rows);
  EXPECT_EQ(shares_of(c.inputs, c.shape, {.tile_rows = 1024, .heads = 8}).rows.size(), 7u);
}

TEST(BenchWork, WhatTravelsToADeviceByHand) {
  const Case c{QuantSpec{}};
  const double states = 4. * 8 * 16 * 128;
  const auto bytes = device_bytes_of(c.inputs, 128, c.shard, 2, Products::bfloat16);
  EXPECT_EQ(bytes.statistics, 3 * states);
  EXPECT_EQ(bytes.advance, 3 * states);
  EXPECT_EQ(bytes.solve, 5 * weights);
  EXPECT_EQ(bytes.rest, 2 * weights);
  EXPECT_EQ(device_bytes_of(c.inputs, 128, c.shard, 1, Products::float32).rest, 4 * weights);
}

TEST(BenchWork, LeastBytesHoldStreamsWeightsAndSums) {
  const Case c{gptq()};
  const auto shares = shares_of(c.inputs, c.shape, backend::host_cut);
  const double streams = 2. * 4 * 8 * 16 * 128;
  EXPECT_EQ(least_bytes(c.inputs, c.shape, shares, c.shard, Reduction::fast),
            streams + 6 * weights + shares.sums_bytes + shares.sides_bytes);
  EXPECT_GT(least_bytes(c.inputs, c.shape, shares, c.shard, Reduction::exact),
            streams + 6 * weights + 5 * shares.sums_bytes - 1);
}

}  // namespace
}  // namespace constrictor::bench
