// SPDX-License-Identifier: Apache-2.0
// The whole way from a model folder and tokens to the statistics of block 0, against the golden file
// (float64 there, float32 here).
#include "hessian/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hessian/accumulate.hpp"
#include "io/checkpoint.hpp"
#include "io/h5.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"
#include "model/rope.hpp"

namespace constrictor::hessian {
namespace {

/// Largest difference relative to the largest entry of the golden statistic.
double relative_error(View<const float> ours, const Matrix<double>& golden, Index page) {
  double worst = 0, largest = 0;
  for (Index r = 0; r < ours.rows; ++r)
    for (Index c = 0; c < ours.cols; ++c) {
      const double wanted = golden(page * ours.rows + r, c);
      worst = std::max(worst, std::abs(double(ours(r, c)) - wanted));
      largest = std::max(largest, std::abs(wanted));
    }
  return worst / largest;
}

struct Demo {
  io::Checkpoint checkpoint{CONSTRICTOR_SOURCE_DIR "/experiments/demo/model"};
  io::H5File golden = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/solvers.h5");
  SumShape shape{.hidden = 128, .attention_width = 128, .feed_forward = 352, .heads = 4, .kv_heads = 2, .head_dim = 32,
                 .drift = false, .value_attention = true, .row_metric = true};
};

TEST(Statistics, OfBlock0AreTheGoldenOnes) {
  Demo demo;
  const auto tokens = io::H5File::open(CONSTRICTOR_SOURCE_DIR "/tests/oracle/demo_calibration.h5").matrix<std::int32_t>("tokens");
  ASSERT_EQ(tokens.rows(), 16);
  const auto& spec = demo.checkpoint.spec();
  const auto hidden = model::embed(spec, demo.checkpoint.load_ends(), tokens.view());
  const auto block = demo.checkpoint.load_block(0, Products::float32);
  BlockSums sums(demo.shape);
  for (Index chunk = 0; chunk < 4; ++chunk) {  // 4 sequences at a time
    const auto trace = model::forward(spec, block, hidden.view().rows_from(chunk * 4 * 256, 4 * 256), 256,
                                      Products::float32, model::Keep::layer_inputs);
    accumulate(demo.shape, trace, nullptr, 256, Products::float32, sums);
  }
  EXPECT_EQ(sums.tokens[0], 16 * 256);
  const auto golden = demo.golden.group("block_0");
  const double tolerance = 3e-6;
  const auto check_input = [&](const char* layer, Place place, Index head, Index page) {
    const auto ours = input_statistics(demo.shape, sums, place, head);
    EXPECT_LE(relative_error(ours.H.view(), golden.group(layer).matrix<double>("H_in"), page), tolerance) << layer;
  };
  check_input("self_attn.q_proj", Place::attention_input, 0, 0);
  check_input("self_attn.o_proj", Place::output_input, 0, 0);
  check_input("mlp.up_proj", Place::mlp_input, 0, 0);
  check_input("mlp.down_proj", Place::down_input, 0, 0);
  for (Index k = 0; k < 2; ++k) {
    check_input("self_attn.v_proj", Place::value_head, k, k);
    const auto frequencies = model::rope_frequencies(spec, 0);
    const auto query = query_output_hessian(demo.shape, sums, k, frequencies, 256);
    for (Index h = 2 * k; h < 2 * k + 2; ++h)
      EXPECT_LE(relative_error(query.view(), golden.group("self_attn.q_proj").matrix<double>("H_out"), h), tolerance);
    EXPECT_LE(relative_error(key_output_hessian(demo.shape, sums, k, frequencies, 256).view(),
                             golden.group("self_attn.k_proj").matrix<double>("H_out"), k), tolerance);
    EXPECT_LE(relative_error(value_output_hessian(demo.shape, block.layer(Role::output).weight.view(), k).view(),
                             golden.group("self_attn.v_proj").matrix<double>("H_out_output"), k), tolerance);
  }
}

TEST(Statistics, RotationBackUndoesTheRotation) {
  const std::vector<float> frequencies{1.f, 0.3f};
  Matrix<double> M(4, 4);
  for (Index i = 0; i < 4; ++i) M(i, i) = 3;  // a multiple of one commutes with every rotation
  const auto mean = mean_rotated_back(M.view(), frequencies, 7);
  for (Index r = 0; r < 4; ++r)
    for (Index c = 0; c < 4; ++c) EXPECT_NEAR(mean(r, c), r == c ? 3 : 0, 1e-14);
  // One position (l = 0, R = 1) leaves any matrix alone.
  M(0, 3) = M(3, 0) = 2;
  const auto first = mean_rotated_back(M.view(), frequencies, 1);
  EXPECT_EQ(first(0, 3), 2);
}

/// Drift and attention sums of a small made-up block against plain double loops.
TEST(Statistics, CrossSumsArePlainSums) {
  const SumShape shape{.hidden = 5, .attention_width = 8, .feed_forward = 3, .heads = 4, .kv_heads = 2, .head_dim = 2,
                       .drift = true, .value_attention = true, .row_metric = true};
  const Index L = 6, sequences = 2, T = L * sequences;
  unsigned state = 1;
  const auto random = [&](Index rows, Index cols) {
    auto m = Matrix<float>::uninitialized(rows, cols);
    for (float& v : m.values()) v = float((state = state * 1664525u + 1013904223u) >> 8) / float(1 << 23) - 1.f;
    return m;
  };
  const auto trace = [&] {
    BlockTrace t;
    t.attention_input = random(T, 5), t.query = random(T, 8), t.key = random(T, 4), t.value = random(T, 4);
    t.output_input = random(T, 8), t.mlp_input = random(T, 5), t.down_input = random(T, 3), t.output = random(T, 5);
    t.attention.scale = 1 / std::sqrt(2.f);
    return t;
  };
  const BlockTrace quant = trace(), full = trace();
  BlockSums sums(shape);
  accumulate(shape, quant, &full, L, Products::float32, sums);
  const auto down = input_statistics(shape, sums, Place::down_input);
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) {
      double h = 0, d = 0;
      for (Index t = 0; t < T; ++t) {
        h += double(quant.down_input(t, i)) * double(quant.down_input(t, j));
        d += (double(full.down_input(t, i)) - double(quant.down_input(t, i))) * double(quant.down_input(t, j));
      }
      EXPECT_NEAR(down.H(i, j), 2 * h / double(T), 1e-5);
      EXPECT_NEAR(down.D(i, j), 2 * d / double(T), 1e-5);
    }
  // Value head: Y = A X, rows of queries; H = mean over heads of Y~' Y~, D = mean of (Y - Y~)' Y~.
  const auto weighted = [&](const BlockTrace& t, Index h, Index s) {
    Matrix<double> Y(L, 5);
    for (Index i = 0; i < L; ++i) {
      std::vector<double> p(std::size_t(i) + 1);
      double total = 0;
      for (Index j = 0; j <= i; ++j) {
        double score = 0;
        for (Index k = 0; k < 2; ++k) score += double(t.query(s * L + i, h * 2 + k)) * double(t.key(s * L + j, h / 2 * 2 + k));
        total += p[std::size_t(j)] = std::exp(score / std::sqrt(2.));
      }
      for (Index j = 0; j <= i; ++j)
        for (Index c = 0; c < 5; ++c) Y(i, c) += p[std::size_t(j)] / total * double(t.attention_input(s * L + j, c));
    }
    return Y;
  };
  for (Index kv = 0; kv < 2; ++kv) {
    const auto ours = input_statistics(shape, sums, Place::value_head, kv);
    Matrix<double> H(5, 5), D(5, 5);
    for (Index h = 2 * kv; h < 2 * kv + 2; ++h)
      for (Index s = 0; s < sequences; ++s) {
        const auto q = weighted(quant, h, s), f = weighted(full, h, s);
        for (Index i = 0; i < 5; ++i)
          for (Index j = 0; j < 5; ++j)
            for (Index l = 0; l < L; ++l) {
              H(i, j) += q(l, i) * q(l, j) / double(T);  // 2 / T over a group of 2
              D(i, j) += (f(l, i) - q(l, i)) * q(l, j) / double(T);
            }
      }
    for (Index i = 0; i < 25; ++i) {
      EXPECT_NEAR(ours.H.data()[i], H.data()[i], 1e-5);
      EXPECT_NEAR(ours.D.data()[i], D.data()[i], 1e-5);
    }
  }
}

}  // namespace
}  // namespace constrictor::hessian
