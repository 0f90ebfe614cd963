// SPDX-License-Identifier: Apache-2.0
#include "model/attention.hpp"

#include <gtest/gtest.h>

#include "linalg/attention_probabilities.hpp"
#include "tests/unit/kernels/values.hpp"

namespace constrictor::model {
namespace {
using test::float_epsilon;

/// Attention probabilities of query `i`, in float64 by plain loops.
std::vector<double> probabilities(View<const float> q, View<const float> k, Index i, double scale) {
  std::vector<double> p;
  double sum = 0;
  for (Index j = 0; j <= i; ++j) {
    double score = 0;
    for (Index c = 0; c < q.cols; ++c) score += static_cast<double>(q(i, c)) * k(j, c);
    p.push_back(std::exp(score * scale));
    sum += p.back();
  }
  for (double& value : p) value /= sum;
  return p;
}

struct Shape {
  Index sequences, length, heads, kv_heads, head_dim;
};
class Attention : public testing::TestWithParam<Shape> {};

TEST_P(Attention, EqualsPlainLoopsInFloat64) {
  const auto [sequences, length, heads, kv_heads, d] = GetParam();
  ModelSpec spec;
  spec.heads = heads, spec.kv_heads = kv_heads, spec.head_dim = d;
  const Matrix<float> query = test::random_matrix(sequences * length, heads * d, 1, 3.0),
                      key = test::random_matrix(sequences * length, kv_heads * d, 2, 3.0),
                      value = test::random_matrix(sequences * length, kv_heads * d, 3);
  const Matrix<float> found = attention(spec, attention_form(spec, 0), length, query.view(), key.view(), value.view());
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  // scores reach 9 sqrt(d); their rounding is that of a sum of d terms and enters the exponential
  const double tolerance = float_epsilon * (9 * static_cast<double>(d) + 8);
  for (Index s = 0; s < sequences; ++s)
    for (Index h = 0; h < heads; ++h) {
      const Index group = h * kv_heads / heads;
      const auto q = query.view().block(s * length, h * d, length, d),
                 k = key.view().block(s * length, group * d, length, d);
      for (Index i = 0; i<length; i += length> 100 ? 7 : 1) {
        const auto p = probabilities(q, k, i, scale);
        for (Index c = 0; c < d; ++c) {
          double expected = 0;
          for (Index j = 0; j <= i; ++j)
            expected += p[static_cast<std::size_t>(j)] * value(s * length + j, group * d + c);
          EXPECT_NEAR(found(s * length + i, h * d + c), expected, tolerance)
              << s << " " << h << " " << i;
        }
      }
    }
}

// The longest crosses two borders of the tiles that the queries are cut into.
INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Shape{0, 3, 2, 1, 4}, Shape{1, 1, 1, 1, 2},
                                         Shape{3, 5, 4, 2, 6},
                                         Shape{2, linalg::attention_tile, 2, 2, 8},
                                         Shape{1, 2 * linalg::attention_tile + 19, 3, 1, 16}));

TEST(AttentionProbabilities, AreLowerTriangularRowsThatSumToOne) {
  for (const Index length : {Index{1}, Index{20}, 2 * linalg::attention_tile + 3}) {
    const Matrix<float> q = test::random_matrix(length, 24, 1, 2.0),
                        k = test::random_matrix(length, 24, 2, 2.0);
    test::Framed A(length, length);
    linalg::attention_probabilities(q.view(), k.view(), {0.3f}, A.view());
    for (Index i = 0; i < length; ++i) {
      const auto expected = probabilities(q.view(), k.view(), i, 0.3f);
      double sum = 0;
      for (Index j = 0; j < length; ++j) {
        sum += A.view()(i, j);
        const double exact = j <= i ? expected[static_cast<std::size_t>(j)] : 0.0;
        EXPECT_NEAR(A.view()(i, j), exact, exact * float_epsilon * 100) << i << " " << j;
      }
      EXPECT_NEAR(sum, 1.0, float_epsilon * (4 + std::sqrt(static_cast<double>(length))));
    }
    EXPECT_TRUE(A.margin_untouched());
  }
}

TEST(AttentionProbabilities, RefuseShapesThatDoNotFit) {
  Matrix<float> q(4, 8), k(5, 8), A(4, 4);
  EXPECT_THROW(
      linalg::attention_probabilities(read_only(q.view()), read_only(k.view()), {1.0f}, A.view()),
      Bug);
}

}  // namespace
}  // namespace constrictor::model
