// SPDX-License-Identifier: Apache-2.0
#include "hessian/accumulate.hpp"

#include "hessian/accumulate_gpu.hpp"
#include "io/checkpoint.hpp"
#include "io/h5.hpp"
#include "kernels/statistics.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"
#include "model/rope.hpp"
#include "tests/gpu/traces.hpp"

namespace constrictor::hessian {
namespace {

constexpr SumShape small{.hidden = 29,
                         .attention_width = 28,
                         .feed_forward = 13,
                         .heads = 4,
                         .kv_heads = 2,
                         .head_dim = 7,
                         .drift = true,
                         .value_attention = true,
                         .row_metric = true};

struct StatisticsOnDevice : test::DeviceMatrices {
  /// Two chunks of whole sequences through both backends.
  template <class E>
  double error_of_sums(SumShape shape, Index length, Index sequences) {
    constexpr bool wide = std::is_same_v<E, float>;
    BlockSums wanted(shape);
    DeviceSums found(gpu, shape);
    for (unsigned chunk = 0; chunk < 2; ++chunk) {
      const auto quant = test::random_trace(shape, length * sequences, 1 + 100 * chunk);
      const auto full = test::random_trace(shape, length * sequences, 51 + 100 * chunk);
      const auto device_quant = test::on_device<E>(gpu, quant);
      const auto device_full = test::on_device<E>(gpu, full);
      accumulate(shape, quant, shape.drift ? &full : nullptr, length,
                 wide ? Products::float32 : Products::bfloat16, wanted);
      accumulate<E>(gpu, shape, device_quant, shape.drift ? &device_full : nullptr, length, found);
    }
    EXPECT_EQ(found.tokens, wanted.tokens[0]);
    return test::error_of(test::host_sums(gpu, found), wanted);
  }
};

TEST_F(StatisticsOnDevice, SumsAreThoseOfTheOracle) {
  for (const bool drift : {false, true})
    for (const bool attention : {false, true}) {
      SumShape shape = small;
      shape.drift = drift;
      shape.value_attention = shape.row_metric = attention;
      EXPECT_LE(error_of_sums<float>(shape, 11, 3), 3e-6) << drift << attention;
      // Entries of A and of its sums are rounded to bfloat16 on both sides; single ones may fall
      // to the other side of a tie.
      EXPECT_LE(error_of_sums<bfloat16>(shape, 11, 3), 1. / 256) << drift << attention;
    }
  EXPECT_LE(error_of_sums<float>(small, 1, 1), 3e-6);
}

TEST_F(StatisticsOnDevice, NothingIsAddedForNoTokens) {
  DeviceSums sums(gpu, small);
  const auto trace = test::on_device<float>(gpu, test::random_trace(small, 0, 1));
  accumulate<float>(gpu, small, trace, &trace, 11, sums);
  EXPECT_EQ(sums.tokens, 0);
}

TEST_F(StatisticsOnDevice, InputSideHasTheBitsOfTheOracle) {
  BlockSums host(small);
  const auto quant = test::random_trace(small, 22, 1), full = test::random_trace(small, 22, 2);
  accumulate(small, quant, &full, 11, Products::float32, host);
  DeviceSums sums(gpu, small);
  upload(gpu, host, sums);
  const auto check = [&](Place place, Index head) {
    const auto wanted = input_statistics(small, host, place, head);
    const auto found = input_statistics(gpu, small, sums, place, head);
    EXPECT_EQ(test::error_of(on_host(found.H), wanted.H), 0);
    EXPECT_EQ(test::error_of(on_host(found.D), wanted.D), 0);
  };
  check(Place::attention_input, 0);
  check(Place::output_input, 0);
  check(Place::mlp_input, 0);
  check(Place::down_input, 0);
  check(Place::value_head, 0);
  check(Place::value_head, 1);
}

TEST_F(StatisticsOnDevice, TilesOfStatisticsMeetAtTheirEdges) {
  for (const Index n : {0, 1, 31, 32, 33, 97}) {
    InputSums host{test::normal_matrix<float>(n, n, 1), test::normal_matrix<float>(n, n, 2)};
    auto gram = on_device(host.gram), cross = on_device(host.cross);
    // in place: what takes no memory of its own
    kernels::scaled_statistics(gpu.main(), read_only(gram.view()), read_only(cross.view()), 0.375,
                               gram.view(), cross.view());
    const auto H = on_host(gram), D = on_host(cross);
    for (Index r = 0; r < n; ++r)
      for (Index c = 0; c < n; ++c) {
        const float sum = c >= r ? host.gram(r, c) : host.gram(c, r);
        ASSERT_EQ(H(r, c), 0.375f * sum);
        ASSERT_EQ(D(r, c), static_cast<float>(0.375 * (double(host.cross(r, c)) - double(sum))));
      }
  }
}

TEST_F(StatisticsOnDevice, RowMetricsAreThoseOfTheOracle) {
  SumShape shape = small;
  shape.drift = shape.value_attention = false;
  shape.head_dim = 6, shape.attention_width = 24;
  BlockSums host(shape);
  accumulate(shape, test::random_trace(shape, 35, 1), nullptr, 7, Products::float32, host);
  DeviceSums sums(gpu, shape);
  upload(gpu, host, sums);
  const std::vector<float> rotating{1.f, 0.31f, 0.07f}, none;
  for (const auto& frequencies : {rotating, none})
    for (const Index length : {1, 7, 101}) {
      const auto query = query_output_hessians(gpu, shape, sums, frequencies, length);
      const auto key = key_output_hessians(gpu, shape, sums, frequencies, length);
      ASSERT_EQ(query.size(), 2u);
      ASSERT_EQ(key.size(), 2u);
      for (Index k = 0; k < 2; ++k) {
        const auto i = static_cast<std::size_t>(k);
        EXPECT_LE(
            test::error_of(query[i], query_output_hessian(shape, host, k, frequencies, length)),
            1e-7);
        EXPECT_LE(test::error_of(key[i], key_output_hessian(shape, host, k, frequencies, length)),
                  1e-7);
      }
    }
  // before rounding to float32
  const auto& gram = host.key_gram[0];
  Matrix<double> M(6, 6);
  for (Index r = 0; r < 6; ++r)
    for (Index c = 0; c < 6; ++c) M(r, c) = 0.7 * double(c >= r ? gram(r, c) : gram(c, r));
  const auto radians = device::uploaded(gpu, rotating, "frequencies");
  device::DeviceMatrix<double> table(gpu, 101, 6, "table"), mean(gpu, 6, 6, "mean");
  kernels::rotation_table(gpu.main(), radians.view(), table.view());
  kernels::mean_rotated_back(gpu.main(), sums.key_gram[0].view(), 0.7, table.view(), mean.view());
  EXPECT_LE(test::error_of(on_host(mean), mean_rotated_back(M.view(), rotating, 101)), 1e-12);
}

TEST_F(StatisticsOnDevice, MetricsInFrontOfANormInsideTheHead) {
  SumShape shape = small;
  shape.drift = shape.value_attention = false;
  shape.row_metric = shape.qk_norm = true;
  shape.head_dim = 6, shape.attention_width = shape.heads * 6;
  BlockTrace t = test::random_trace(shape, 35, 1);
  t.head_norm = {test::normal_matrix<float>(35, shape.heads * 6, 7),
                 test::normal_matrix<float>(35, shape.kv_heads * 6, 8),
                 {1.5f, -0.5f, 2.f, 0.3f, 1.f, -1.2f},
                 {0.7f, 1.1f, -1.6f, 0.4f, 2.f, 0.9f},
                 {1.f, 0.3f, 0.01f},
                 1e-3};
  const auto weight_of = [&](const std::vector<float>& weight) {
    return on_device(Matrix<float>(View<const float>{weight.data(), 1, 6, 6}));
  };
  const DeviceNorm query_norm{weight_of(t.head_norm.query_weight), {}};
  const DeviceNorm key_norm{weight_of(t.head_norm.key_weight), {}};
  auto trace = test::on_device<float>(gpu, t);
  trace.head_norm.query = on_device(t.head_norm.query);
  trace.head_norm.key = on_device(t.head_norm.key);
  trace.head_norm.query_norm = &query_norm;
  trace.head_norm.key_norm = &key_norm;
  trace.head_norm.frequencies = t.head_norm.frequencies;
  trace.head_norm.eps = t.head_norm.eps;
  BlockSums wanted(shape);
  DeviceSums found(gpu, shape);
  for (int chunk = 0; chunk < 2; ++chunk) {
    accumulate(shape, t, nullptr, 7, Products::float32, wanted);
    accumulate<float>(gpu, shape, trace, nullptr, 7, found);
  }
  EXPECT_LE(test::error_of(test::host_sums(gpu, found), wanted), 3e-6);
}

/// Block 0 of the demo model on 16 sequences, traces of the oracle's forward, against the golden
/// statistics (float64).
TEST_F(StatisticsOnDevice, OfBlock0AreTheGoldenOnes) {
  const io::Checkpoint checkpoint(CONSTRICTOR_SOURCE_DIR "/experiments/demo/model");
  const auto file = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  const auto golden = file.group("block_0");
  const SumShape shape{.hidden = 128,
                       .attention_width = 128,
                       .feed_forward = 352,
                       .heads = 4,
                       .kv_heads = 2,
                       .head_dim = 32,
                       .drift = false,
                       .value_attention = true,
                       .row_metric = true};
  const auto tokens = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/demo_calibration.h5")
                          .matrix<std::int32_t>("tokens");
  const auto& spec = checkpoint.spec();
  const auto hidden = model::embed(spec, checkpoint.load_ends(), tokens.view());
  const auto block = checkpoint.load_block(0, Products::float32);
  const auto trace =
      model::forward(spec, block, hidden.view(), 256, Products::float32, model::Keep::layer_inputs);
  DeviceSums sums(gpu, shape);
  accumulate<float>(gpu, shape, test::on_device<float>(gpu, trace), nullptr, 256, sums);
  const auto error = [&](const Matrix<float>& ours, const char* layer, const char* what,
                         Index page) {
    const auto all = golden.group(layer).matrix<double>(what);
    return test::error_where(ours.view(), all.view().rows_from(page * ours.rows(), ours.rows()),
                             [](Index, Index) { return true; });
  };
  const auto input = [&](const char* layer, Place place, Index head) {
    const auto H = on_host(input_statistics(gpu, shape, sums, place, head).H);
    EXPECT_LE(error(H, layer, "H_in", head), 3e-6) << layer;
  };
  input("self_attn.q_proj", Place::attention_input, 0);
  input("self_attn.o_proj", Place::output_input, 0);
  input("mlp.up_proj", Place::mlp_input, 0);
  input("mlp.down_proj", Place::down_input, 0);
  input("self_attn.v_proj", Place::value_head, 0);
  input("self_attn.v_proj", Place::value_head, 1);
  const auto frequencies = model::rope_frequencies(spec, 0);
  const auto query = query_output_hessians(gpu, shape, sums, frequencies, 256);
  const auto key = key_output_hessians(gpu, shape, sums, frequencies, 256);
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_LE(error(query[k], "self_attn.q_proj", "H_out", 2 * static_cast<Index>(k)), 3e-6);
    EXPECT_LE(error(key[k], "self_attn.k_proj", "H_out", static_cast<Index>(k)), 3e-6);
  }
}

}  // namespace
}  // namespace constrictor::hessian
