// SPDX-License-Identifier: Apache-2.0
// What must hold for any block: who keeps what, causality, independence of neighbours and threads.
#include "model/forward.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include "linalg/attention_probabilities.hpp"
#include "model/rope.hpp"
#include "tests/unit/kernels/values.hpp"
#include "tests/unit/model/golden.hpp"

namespace constrictor::model {
namespace {

struct Case {
  std::string family;
  Products products;
};

class AnyBlock : public testing::TestWithParam<Case> {
 protected:
  static constexpr Index sequences = 3, length = 37, hidden_width = 48, feed_forward = 80;

  AnyBlock() {
    spec.family = GetParam().family;
    spec.hidden = hidden_width, spec.feed_forward = feed_forward;
    spec.heads = 4, spec.kv_heads = 2, spec.head_dim = 12;
    if (spec.family == "opt") {
      spec.kv_heads = 4;
      spec.rotary = spec.gated = false;
      spec.norm_style = NormStyle::layer;
      spec.activation = Activation::relu;
    }
    const Index q = spec.heads * spec.head_dim, kv = spec.kv_heads * spec.head_dim;
    add(Role::query, q, hidden_width);
    add(Role::key, kv, hidden_width);
    add(Role::value, kv, hidden_width);
    add(Role::output, hidden_width, q);
    if (spec.gated) add(Role::gate, feed_forward, hidden_width);
    add(Role::up, feed_forward, hidden_width);
    add(Role::down, hidden_width, feed_forward);
    for (Norm* norm : {&block.attention_norm, &block.mlp_norm}) {
      norm->weight = test::random_vector(hidden_width, 90, 2.0);
      norm->bias = test::random_vector(hidden_width, 91);
    }
  }
  void add(Role role, Index out, Index in) {
    Layer layer;
    layer.role = role;
    layer.weight = test::random_matrix(out, in, 10 + block.layers.size(),
                                       2 / std::sqrt(static_cast<double>(in)));
    layer.weight_bf16 = converted<bfloat16>(std::as_const(layer.weight).view());
    block.layers.push_back(std::move(layer));
  }
  BlockTrace run(View<const float> input, Keep keep = Keep::layer_inputs) const {
    return forward(spec, block, input, length, GetParam().products, keep);
  }

  ModelSpec spec;
  Block block;
  const Matrix<float> hidden = test::random_matrix(sequences * length, hidden_width, 1, 2.0);
};

using Part = Matrix<float> BlockTrace::*;
constexpr Part parts[] = {
    &BlockTrace::attention_input, &BlockTrace::query,        &BlockTrace::key,
    &BlockTrace::value,           &BlockTrace::output_input, &BlockTrace::mlp_input,
    &BlockTrace::down_input,      &BlockTrace::output};

bool same_bits(const Matrix<float>& a, const Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

TEST_P(AnyBlock, KeepsWhatWasAskedForWithTheSameOutput) {
  const BlockTrace all = run(hidden.view()), little = run(hidden.view(), Keep::output_only);
  EXPECT_TRUE(same_bits(all.output, little.output));
  const Index tokens = sequences * length, q = spec.heads * spec.head_dim,
              kv = spec.kv_heads * spec.head_dim;
  const Index widths[] = {hidden_width, q, kv, kv, q, hidden_width, feed_forward, hidden_width};
  for (std::size_t i = 0; i < std::size(parts); ++i) {
    EXPECT_EQ((all.*parts[i]).rows(), tokens) << i;
    EXPECT_EQ((all.*parts[i]).cols(), widths[i]) << i;
    EXPECT_EQ((little.*parts[i]).empty(), parts[i] != &BlockTrace::output) << i;
  }
}

TEST_P(AnyBlock, LayerInputsAreWhatWasMultiplied) {
  const BlockTrace t = run(hidden.view());
  const bool rounded = GetParam().products == Products::bfloat16;
  for (const Part part : {&BlockTrace::attention_input, &BlockTrace::output_input,
                          &BlockTrace::mlp_input, &BlockTrace::down_input}) {
    Index representable = 0;
    for (const float v : (t.*part).values()) representable += v == rounded_to_bfloat16(v);
    if (rounded)
      EXPECT_EQ(representable, (t.*part).size());
    else
      EXPECT_LT(representable, (t.*part).size());
  }
}

TEST_P(AnyBlock,
       TraceHoldsTogether) {  // value = W_v x, attention of the traced q, k, v is output_input
  const BlockTrace t = run(hidden.view());
  const bool rounded = GetParam().products == Products::bfloat16;
  const Layer& layer = block.layer(Role::value);
  Matrix<float> A(length, length);
  for (Index row : {Index{0}, sequences * length - 1})
    for (Index c = 0; c < t.value.cols(); ++c) {
      double exact = 0;
      for (Index i = 0; i < hidden_width; ++i)
        exact += static_cast<double>(t.attention_input(row, i)) *
                 (rounded ? static_cast<float>(layer.weight_bf16(c, i)) : layer.weight(c, i));
      EXPECT_NEAR(t.value(row, c), exact, test::float_epsilon * 100);
    }
  const Index s = 1, head = 3, d = spec.head_dim, group = head * spec.kv_heads / spec.heads;
  linalg::attention_probabilities(t.query.view().block(s * length, head * d, length, d),
                                  t.key.view().block(s * length, group * d, length, d),
                                  {static_cast<float>(1 / std::sqrt(static_cast<double>(d)))},
                                  A.view());
  for (Index i = 0; i < length; ++i)
    for (Index c = 0; c < d; ++c) {
      double exact = 0;
      for (Index j = 0; j < length; ++j)
        exact += static_cast<double>(A(i, j)) * t.value(s * length + j, group * d + c);
      const double tolerance = test::float_epsilon * 50 + (rounded ? std::abs(exact) / 256 : 0);
      EXPECT_NEAR(t.output_input(s * length + i, head * d + c), exact, tolerance);
    }
}

TEST_P(AnyBlock, NothingDependsOnLaterTokens) {
  const Index changed = 20;  // in sequence 1
  Matrix<float> other(hidden);
  other(length + changed, 3) += 1.0f;
  const BlockTrace a = run(hidden.view()), b = run(other.view());
  for (Index row = 0; row < sequences * length; ++row) {
    const bool same =
        std::memcmp(a.output.row(row), b.output.row(row), sizeof(float) * hidden_width) == 0;
    EXPECT_EQ(same, row < length + changed || row >= 2 * length) << row;
  }
}

TEST_P(AnyBlock, SequencesDoNotSeeEachOther) {
  const BlockTrace together = run(hidden.view());
  // Products may add in another order; with bfloat16 a last bit may then fall to the other side.
  const double tolerance = GetParam().products == Products::float32 ? 4e-6 : 1.0 / 128;
  for (Index s = 0; s < sequences; ++s) {
    const BlockTrace alone = run(hidden.view().rows_from(s * length, length));
    EXPECT_LE(test::relative_difference(alone.output.view(),
                                        together.output.view().rows_from(s * length, length)),
              tolerance);
  }
}

TEST_P(AnyBlock, ThreadsChangeNoBit) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const BlockTrace one = run(hidden.view());
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    const BlockTrace many = run(hidden.view());
    for (const Part part : parts) EXPECT_TRUE(same_bits(one.*part, many.*part)) << threads;
  }
  omp_set_num_threads(before);
}

TEST_P(AnyBlock, NoTokensAreNoTrouble) {
  const BlockTrace t = run(hidden.view().rows_from(0, 0));
  EXPECT_EQ(t.output.rows(), 0);
  EXPECT_EQ(t.output.cols(), hidden_width);
}

TEST_P(AnyBlock, RefusesHalfSequencesAndUnresolvedProducts) {
  EXPECT_THROW(run(hidden.view().rows_from(0, length + 1)), Bug);
  EXPECT_THROW(forward(spec, block, hidden.view(), length, Products::automatic, Keep::output_only),
               Bug);
}

INSTANTIATE_TEST_SUITE_P(Families, AnyBlock,
                         testing::Values(Case{"llama", Products::float32},
                                         Case{"llama", Products::bfloat16},
                                         Case{"opt", Products::float32},
                                         Case{"opt", Products::bfloat16}));

TEST(RopeFrequencies, FollowTheSpec) {
  ModelSpec spec;
  spec.head_dim = 8;
  EXPECT_FLOAT_EQ(rope_frequencies(spec, 0)[1], 0.1f);
  spec.rope.scaling = RopeScaling::linear;
  spec.rope.factor = 2;
  EXPECT_FLOAT_EQ(rope_frequencies(spec, 0)[1], 0.05f);
  spec.rope = {.scaling = RopeScaling::llama3, .factor = 8, .original_max_positions = 1000};
  EXPECT_NEAR(rope_frequencies(spec, 0)[2], 0.00297535,
              1e-8);  // by hand in tests/unit/kernels/rope_test.cpp
  spec.rotary = false;
  EXPECT_TRUE(rope_frequencies(spec, 0).empty());
}

TEST(ResolvedProducts, FollowTheModelUnlessAsked) {
  ModelSpec spec;
  spec.dtype = DType::bfloat16;
  EXPECT_EQ(resolved_products(spec, Products::automatic), Products::bfloat16);
  EXPECT_EQ(resolved_products(spec, Products::float32), Products::float32);
  spec.dtype = DType::float16;
  EXPECT_EQ(resolved_products(spec, Products::automatic), Products::float32);
}

}  // namespace
}  // namespace constrictor::model
