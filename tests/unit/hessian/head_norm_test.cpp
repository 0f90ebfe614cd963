// SPDX-License-Identifier: Apache-2.0
// H_out in front of a norm inside the head, against what a small error there does to the scores.
#include "hessian/head_norm.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hessian/accumulate.hpp"
#include "hessian/statistics.hpp"
#include "io/checkpoint.hpp"
#include "io/h5.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"
#include "model/rope.hpp"

namespace constrictor::hessian {
namespace {

class HeadNorm : public testing::TestWithParam<const char*> {
 protected:
  HeadNorm() {
    block.layers[0].bias.assign(static_cast<std::size_t>(spec.heads * d), 0.f);
    block.layers[1].bias.assign(static_cast<std::size_t>(spec.kv_heads * d), 0.f);
  }
  BlockTrace run(const Block& of) const {
    return model::forward(spec, of, hidden.view(), length, Products::float32,
                          model::Keep::layer_inputs);
  }
  /// Adds `error` to what one head of a layer gives, in front of the norm, at every position.
  BlockTrace disturbed(Role role, Index head, const std::vector<double>& error, double step) const {
    Block copy = block;
    for (Layer& layer : copy.layers)
      for (Index c = 0; layer.role == role && c < d; ++c)
        layer.bias[static_cast<std::size_t>(head * d + c)] +=
            static_cast<float>(step * error[static_cast<std::size_t>(c)]);
    return run(copy);
  }
  /// Mean over positions of 2/L Σ over the other side's positions of the same sequence and over
  /// heads [first, last) of it of (other' change)²; change: of head `head` of one side.
  double score_error(const Matrix<float>& plus, const Matrix<float>& minus, Index head, double step,
                     const Matrix<float>& other, Index first, Index last) const {
    double sum = 0;
    for (Index t = 0; t < plus.rows(); ++t)
      for (Index m = t / length * length; m < (t / length + 1) * length; ++m)
        for (Index h = first; h < last; ++h) {
          double score = 0;
          for (Index c = 0; c < d; ++c)
            score += (static_cast<double>(plus(t, head * d + c)) - minus(t, head * d + c)) /
                     (2 * step) * other(m, h * d + c);
          sum += score * score;
        }
    return 2 * sum / static_cast<double>(length) / static_cast<double>(plus.rows());
  }
  std::vector<double> random_error(unsigned seed) const {
    std::vector<double> error;
    for (Index c = 0; c < d; ++c)
      error.push_back(std::sin(1.7 * double(c) + seed) + 0.3 * std::cos(3.1 * double(c)));
    return error;
  }
  static double quadratic(const Matrix<float>& H, const std::vector<double>& e) {
    double sum = 0;
    for (Index i = 0; i < H.rows(); ++i)
      for (Index j = 0; j < H.rows(); ++j)
        sum += e[static_cast<std::size_t>(i)] * H(i, j) * e[static_cast<std::size_t>(j)];
    return sum;
  }

  const std::string folder = CONSTRICTOR_SOURCE_DIR "/tests/oracle/" + std::string(GetParam());
  const io::Checkpoint checkpoint{folder};
  const ModelSpec& spec = checkpoint.spec();
  Block block = checkpoint.load_block(1, Products::float32);
  const Matrix<std::int32_t> ids =
      io::H5File::open(folder + "/golden.h5").matrix<std::int32_t>("tokens");
  const Matrix<float> hidden = model::embed(spec, checkpoint.load_ends(), ids.view());
  const Index length = ids.cols(), d = spec.head_dim, group = spec.heads / spec.kv_heads;
  const SumShape shape{.hidden = spec.hidden,
                       .attention_width = spec.heads * d,
                       .feed_forward = spec.feed_forward,
                       .heads = spec.heads,
                       .kv_heads = spec.kv_heads,
                       .head_dim = d,
                       .row_metric = true,
                       .qk_norm = true};
};
INSTANTIATE_TEST_SUITE_P(Folders, HeadNorm, testing::Values("qwen3", "gemma3"),
                         [](const auto& name) { return std::string(name.param); });

TEST_P(HeadNorm, RowMetricIsWhatAnErrorBeforeTheNormDoesToTheScores) {
  const BlockTrace t = run(block);
  BlockSums sums(shape);
  accumulate(shape, t, nullptr, length, Products::float32, sums);
  const double step = 1e-2;  // the second difference is of the order of its square
  for (unsigned seed : {1u, 2u, 3u}) {
    const auto error = random_error(seed);
    for (Index h = 0; h < spec.heads; ++h) {
      const Index k = h / group;
      const auto plus = disturbed(Role::query, h, error, step);
      const auto minus = disturbed(Role::query, h, error, -step);
      const double wanted = score_error(plus.query, minus.query, h, step, t.key, k, k + 1);
      EXPECT_NEAR(quadratic(query_output_hessian(shape, sums, h, {}, length), error) / wanted, 1,
                  5e-3)
          << "query head " << h;
    }
    for (Index k = 0; k < spec.kv_heads; ++k) {
      const auto plus = disturbed(Role::key, k, error, step);
      const auto minus = disturbed(Role::key, k, error, -step);
      const double wanted =
          score_error(plus.key, minus.key, k, step, t.query, k * group, (k + 1) * group) /
          static_cast<double>(group);
      EXPECT_NEAR(quadratic(key_output_hessian(shape, sums, k, {}, length), error) / wanted, 1,
                  5e-3)
          << "key head " << k;
    }
  }
}

TEST_P(HeadNorm, WithoutItsJacobianTheMetricIsAnother) {  // that the test above can fail
  const BlockTrace t = run(block);
  SumShape plain = shape;
  plain.qk_norm = false;
  BlockSums sums(plain);
  accumulate(plain, t, nullptr, length, Products::float32, sums);
  const auto error = random_error(1);
  const auto plus = disturbed(Role::query, 0, error, 1e-2);
  const auto minus = disturbed(Role::query, 0, error, -1e-2);
  const double wanted = score_error(plus.query, minus.query, 0, 1e-2, t.key, 0, 1);
  const auto H = query_output_hessian(plain, sums, 0, model::rope_frequencies(spec, 1), length);
  EXPECT_GT(std::abs(quadratic(H, error) / wanted - 1), 0.1);
}

TEST_P(HeadNorm, ChunksAddUp) {
  const BlockTrace whole = run(block);
  BlockSums once(shape), twice(shape);
  accumulate(shape, whole, nullptr, length, Products::float32, once);
  for (const auto rows : {hidden.view().rows_from(0, length),
                          hidden.view().rows_from(length, hidden.rows() - length)})
    accumulate(
        shape,
        model::forward(spec, block, rows, length, Products::float32, model::Keep::layer_inputs),
        nullptr, length, Products::float32, twice);
  for (std::size_t h = 0; h < once.key_gram.size(); ++h)
    for (Index i = 0; i < once.key_gram[h].size(); ++i)
      EXPECT_NEAR(twice.key_gram[h].data()[i], once.key_gram[h].data()[i],
                  1e-4 * std::abs(once.key_gram[h](0, 0)));
}

}  // namespace
}  // namespace constrictor::hessian
