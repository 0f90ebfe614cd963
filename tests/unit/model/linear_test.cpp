// SPDX-License-Identifier: Apache-2.0
#include "model/linear.hpp"

#include <gtest/gtest.h>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::model {
namespace {

Layer random_layer(Index out, Index in, std::uint64_t seed) {
  Layer layer;
  layer.name = "test";
  layer.weight = test::random_matrix(out, in, seed);
  for (float& w : layer.weight.values()) w = rounded_to_bfloat16(w);
  layer.weight_bf16 = converted<bfloat16>(std::as_const(layer.weight).view());
  layer.bias = test::random_vector(out, seed + 1, 5.0);
  return layer;
}

struct Shape {
  Index tokens, out, in;
};
class Linear : public testing::TestWithParam<Shape> {};

TEST_P(Linear, EqualsPlainLoopsInFloat64ForBothProducts) {
  const auto [tokens, out, in] = GetParam();
  const Matrix<float> original = test::random_matrix(tokens, in, 3);
  for (const Products products : {Products::float32, Products::bfloat16})
    for (const bool with_bias : {true, false}) {
      Layer layer = random_layer(out, in, 1);
      if (!with_bias) layer.bias.clear();
      Matrix<float> x(original);
      const LinearInput input(x.view(), products);
      const Matrix<float> y = input.times(layer);
      Matrix<float> added(tokens, out);
      added.fill(7.0f);
      input.add_times(layer, added.view());
      for (Index t = 0; t < tokens; ++t) {
        for (Index i = 0; i < in; ++i)
          EXPECT_EQ(x(t, i), products == Products::float32 ? original(t, i)
                                                           : rounded_to_bfloat16(original(t, i)));
        for (Index o = 0; o < out; ++o) {
          double exact = with_bias ? layer.bias[static_cast<std::size_t>(o)] : 0.0;
          for (Index i = 0; i < in; ++i) exact += static_cast<double>(x(t, i)) * layer.weight(o, i);
          const double tolerance = test::float_epsilon * (8 + static_cast<double>(in));
          EXPECT_NEAR(y(t, o), exact, tolerance);
          EXPECT_NEAR(added(t, o), exact + 7, 2 * tolerance);
        }
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Linear,
                         testing::Values(Shape{0, 3, 4}, Shape{1, 1, 1}, Shape{5, 3, 7},
                                         Shape{65, 40, 33}, Shape{300, 17, 64}));

TEST(LinearLayer, ComplainsByNameAboutWrongShapesAndMissingRoundedWeights) {
  Layer layer = random_layer(4, 6, 1);
  Matrix<float> narrow(3, 5), x(3, 6);
  EXPECT_THROW(linear(layer, narrow.view(), Products::float32), Bug);
  layer.weight_bf16 = {};
  EXPECT_NO_THROW(linear(layer, x.view(), Products::float32));
  EXPECT_THROW(linear(layer, x.view(), Products::bfloat16), Bug);
  EXPECT_THROW(linear(layer, x.view(), Products::automatic), Bug);
}

}  // namespace
}  // namespace constrictor::model
