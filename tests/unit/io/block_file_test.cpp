// SPDX-License-Identifier: Apache-2.0
#include "io/block_file.hpp"

#include <cmath>
#include <random>

#include "io/atomic_file.hpp"
#include "io/h5.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

/// W~ = s (C - z), [out x in].
Matrix<float> dequantized(const QuantizedLayer& q) {
  const Index in = q.codes.cols(), groups = q.scale.cols(), width = in / groups;
  auto weight = Matrix<float>::uninitialized(q.codes.rows(), in);
  for (Index r = 0; r < q.codes.rows(); ++r)
    for (Index c = 0; c < in; ++c)
      weight(r, c) =
          q.scale(r, c / width) * (static_cast<float>(q.codes(r, c)) - q.zero(r, c / width));
  return weight;
}

Matrix<float> random_matrix(Index rows, Index cols, unsigned seed) {
  std::mt19937 random(seed);
  Matrix<float> values(rows, cols);
  for (float& value : values.values()) value = static_cast<float>(random()) * 1e-9f - 2.0f;
  return values;
}

QuantizedLayer layer_of(const std::string& name, Role role, Index out, Index in, Index groups) {
  QuantizedLayer layer;
  layer.name = name;
  layer.role = role;
  QuantSpec& spec = layer.spec;  // nothing as it is by default
  spec.method = Method::boa;
  spec.bits = 3;
  spec.group_size = in / groups;
  spec.symmetric = true;
  spec.grid = GridSearch::mse;
  spec.rows_at_once = 4;
  spec.drift = Drift::exact;
  spec.alpha = 0.125;
  spec.adaptive_grid = false;
  spec.refine_passes = 2;
  spec.refine_gain = 0.01;
  spec.refine_zeros = true;
  spec.polish = 3;
  spec.column_order = Order::descending;
  spec.row_order = Order::pivoted;
  spec.beam = 8;
  spec.value_hessian = ValueHessian::input;
  spec.row_metric = RowMetric::none;
  spec.value_row_metric = ValueRowMetric::output;
  spec.damping = 0.02;
  spec.fallback_rtn = true;
  layer.method_used = "rtn";
  layer.codes = Matrix<std::uint8_t>(out, in);
  for (Index i = 0; i < layer.codes.size(); ++i)
    layer.codes.data()[i] = static_cast<std::uint8_t>(i * 7 % 8);
  layer.scale = random_matrix(out, groups, 1);
  layer.zero = random_matrix(out, groups, 2);
  for (Index c = 0; c < in; ++c)
    layer.column_order.push_back(static_cast<std::int32_t>(in - 1 - c));
  layer.row_order = {1, 0, 2};
  layer.loss_by_stage = {3, 2, 1.0 / 3};
  layer.frozen_scales = 4;
  layer.loss_before = 0.1;
  layer.loss_after = 1.0 / 3;
  layer.loss_rounding = 3e300;
  layer.loss_scale = 5e-320;
  layer.damping = 0.1;
  layer.damping_retries = 2;
  layer.dead_columns = 5;
  layer.condition_estimate = 1e12;
  layer.seconds = 0.25;
  layer.rank = 3;
  layer.row_loss.assign(static_cast<std::size_t>(out), 0.5f);
  layer.column_energy.assign(static_cast<std::size_t>(in), 0.25f);
  return layer;
}

BlockRecord record_with_everything() {
  BlockRecord record;
  record.index = 7;
  record.layers.push_back(layer_of("self_attn.v_proj", Role::value, 6, 8, 2));  // not alphabetic
  record.layers.push_back(layer_of("self_attn.o_proj", Role::output, 3, 4, 1));
  record.layers.push_back(layer_of("mlp.down_proj", Role::down, 1200, 1000, 4));  // > 1 MiB
  record.layers[1].column_order.clear();
  record.layers[1].row_order.clear();
  record.output_error = 1e-3;
  record.relative_output_error = 0.0123456789012345678;
  record.output_cosine = 0.99;
  record.seconds_by_phase = {{"forward", 0.1}, {"quantize", 1.0 / 3}};
  record.peak_memory_bytes = 5'000'000'000;
  record.statistics["self_attn.v_proj"] = {random_matrix(2 * 8, 8, 3), random_matrix(2 * 8, 8, 4),
                                           random_matrix(2 * 3, 3, 5), random_matrix(6, 8, 9)};
  record.statistics["mlp.down_proj"] = {random_matrix(4, 4, 6), {}, {}, random_matrix(3, 4, 10)};
  record.activations["self_attn.o_proj"] = {random_matrix(5, 4, 7), random_matrix(5, 4, 8)};
  return record;
}

template <class T>
void expect_same(const Matrix<T>& a, const Matrix<T>& b) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  if (!a.empty()) {
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0);
  }
}

void expect_same(const QuantizedLayer& a, const QuantizedLayer& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.role, b.role);
  const QuantSpec &s = a.spec, &t = b.spec;
  EXPECT_EQ(std::tie(s.method, s.bits, s.group_size, s.symmetric, s.grid, s.rows_at_once, s.drift,
                     s.alpha, s.adaptive_grid, s.refine_passes, s.refine_gain, s.refine_zeros,
                     s.polish, s.column_order, s.row_order, s.beam, s.value_hessian, s.row_metric,
                     s.value_row_metric, s.damping, s.fallback_rtn),
            std::tie(t.method, t.bits, t.group_size, t.symmetric, t.grid, t.rows_at_once, t.drift,
                     t.alpha, t.adaptive_grid, t.refine_passes, t.refine_gain, t.refine_zeros,
                     t.polish, t.column_order, t.row_order, t.beam, t.value_hessian, t.row_metric,
                     t.value_row_metric, t.damping, t.fallback_rtn));
  EXPECT_EQ(std::tie(a.method_used, a.column_order, a.row_order, a.loss_before, a.loss_after,
                     a.loss_rounding, a.loss_scale, a.damping, a.damping_retries, a.dead_columns,
                     a.condition_estimate, a.loss_by_stage, a.frozen_scales, a.seconds, a.rank,
                     a.row_loss, a.column_energy),
            std::tie(b.method_used, b.column_order, b.row_order, b.loss_before, b.loss_after,
                     b.loss_rounding, b.loss_scale, b.damping, b.damping_retries, b.dead_columns,
                     b.condition_estimate, b.loss_by_stage, b.frozen_scales, b.seconds, b.rank,
                     b.row_loss, b.column_energy));
  expect_same(a.codes, b.codes);
  expect_same(a.scale, b.scale);
  expect_same(a.zero, b.zero);
}

TEST(BlockFile, EverythingComesBackBitForBit) {
  const TemporaryFolder folder;
  const BlockRecord record = record_with_everything();
  write_block(folder / "0007.h5", record);
  const BlockRecord back = read_block(folder / "0007.h5");
  EXPECT_EQ(std::tie(back.index, back.output_error, back.relative_output_error, back.output_cosine,
                     back.seconds_by_phase, back.peak_memory_bytes),
            std::tie(record.index, record.output_error, record.relative_output_error,
                     record.output_cosine, record.seconds_by_phase, record.peak_memory_bytes));
  ASSERT_EQ(back.layers.size(), record.layers.size());
  for (std::size_t i = 0; i < back.layers.size(); ++i)
    expect_same(back.layers[i], record.layers[i]);
  ASSERT_EQ(back.statistics.size(), 2u);
  for (const auto& [name, statistics] : record.statistics) {
    expect_same(back.statistics.at(name).input_hessian, statistics.input_hessian);
    expect_same(back.statistics.at(name).input_drift, statistics.input_drift);
    expect_same(back.statistics.at(name).output_hessian, statistics.output_hessian);
    expect_same(back.statistics.at(name).weight, statistics.weight);
  }
  ASSERT_EQ(back.activations.size(), 1u);
  for (const auto& [name, activations] : record.activations) {
    expect_same(back.activations.at(name).quantized, activations.quantized);
    expect_same(back.activations.at(name).full, activations.full);
  }
  expect_same(dequantized(back.layers[0]), dequantized(record.layers[0]));
}

TEST(BlockFile, HasTheAgreedNames) {
  const TemporaryFolder folder;
  write_block(folder / "b.h5", record_with_everything());
  const H5File file = H5File::open(folder / "b.h5");
  for (const char* name : {"schema", "seconds_by_phase", "output_error", "output_error_relative",
                           "output_cosine", "peak_memory_bytes"})
    EXPECT_TRUE(file.has_attribute(name)) << name;
  EXPECT_EQ(file.attribute<std::int64_t>("schema"), 1);
  const H5Group layer = file.group("self_attn.v_proj");
  for (const char* name : {"method",        "method_used",
                           "bits",          "group_size",
                           "symmetric",     "grid",
                           "drift",         "alpha",
                           "loss_before",   "loss_after",
                           "loss_rounding", "loss_scale",
                           "damping",       "damping_retries",
                           "dead_columns",  "condition_estimate",
                           "seconds",       "rank",
                           "codes_packed",  "stages",
                           "frozen_scales", "polish",
                           "refine_gain",   "refine_zeros"})
    EXPECT_TRUE(layer.has_attribute(name)) << name;
  EXPECT_EQ(layer.attribute<std::string>("grid"), "mse");
  EXPECT_EQ(layer.attribute<std::string>("drift"), "exact");
  EXPECT_FALSE(layer.attribute<bool>("codes_packed"));
  EXPECT_EQ(layer.names(), (std::vector<std::string>{"codes", "column_order", "error", "row_order",
                                                     "scale", "statistics", "zero"}));
  EXPECT_EQ(layer.group("error").names(),
            (std::vector<std::string>{"column_energy", "loss_by_stage", "row_loss"}));
  EXPECT_EQ(layer.group("statistics").shape("H_in"), (std::vector<Index>{2, 8, 8}));
  EXPECT_EQ(layer.group("statistics").shape("H_out"), (std::vector<Index>{2, 3, 3}));
  EXPECT_FALSE(file.group("self_attn.o_proj").has("column_order"));
  EXPECT_EQ(file.group("self_attn.o_proj").group("activations").shape("full"),
            (std::vector<Index>{5, 4}));
}

TEST(BlockFile, EqualRecordsGiveEqualBytes) {
  const TemporaryFolder folder;
  write_block(folder / "one.h5", record_with_everything());
  write_block(folder / "two.h5", record_with_everything());
  EXPECT_EQ(read_bytes(folder / "one.h5"), read_bytes(folder / "two.h5"));
}

TEST(BlockFile, ABlockWithoutLayersIsPossible) {
  const TemporaryFolder folder;
  write_block(folder / "b.h5", BlockRecord{});
  EXPECT_TRUE(read_block(folder / "b.h5").layers.empty());
}

TEST(BlockFile, ShapesThatDoNotFitAreOurBug) {
  const TemporaryFolder folder;
  BlockRecord record;
  record.layers.push_back(layer_of("a", Role::up, 3, 8, 2));
  record.layers[0].zero = Matrix<float>(3, 3);
  EXPECT_THROW(write_block(folder / "b.h5", record), Bug);
  EXPECT_FALSE(std::filesystem::exists(folder / "b.h5"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.h5.partial"));
}

TEST(BlockFile, DamageIsFoundOrDoesNoHarm) {
  const TemporaryFolder folder;
  BlockRecord record = record_with_everything();
  record.layers.pop_back();
  write_block(folder / "b.h5", record);
  const std::string whole = read_bytes(folder / "b.h5");
  for (std::size_t length = 0; length < whole.size(); length += 1009) {
    write_bytes(folder / "c.h5", whole.substr(0, length));
    EXPECT_CONTAINS(message_of<UserError>([&] { read_block(folder / "c.h5"); }),
                    "c.h5: is damaged (");
  }
  write_h5_atomically(folder / "d.h5", [](H5File& file) { file.set_attribute("schema", 2); });
  EXPECT_CONTAINS(message_of<UserError>([&] { read_block(folder / "d.h5"); }),
                  "has block schema 2; this program knows 1");
  EXPECT_THROW(read_block(folder / "none.h5"), UserError);
}

}  // namespace
}  // namespace constrictor::io
