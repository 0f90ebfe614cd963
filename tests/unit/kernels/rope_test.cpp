// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.hpp"

#include <gtest/gtest.h>

#include <complex>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::kernels {
namespace {
using test::float_epsilon;

TEST(InverseFrequencies, ArePowersOfTheta) {  // 10000^(-2i/8) = 10^-i
  const auto f = inverse_frequencies(8, 10000.0);
  ASSERT_EQ(f.size(), 4u);
  EXPECT_EQ(f[0], 1.0f);
  EXPECT_FLOAT_EQ(f[1], 0.1f);
  EXPECT_FLOAT_EQ(f[2], 0.01f);
  EXPECT_FLOAT_EQ(f[3], 0.001f);
}

TEST(InverseFrequencies, LinearScalingDividesAll) {
  auto f = inverse_frequencies(4, 100.0);
  stretch_linear(f, 2.5);
  EXPECT_FLOAT_EQ(f[0], 0.4f);
  EXPECT_FLOAT_EQ(f[1], 0.04f);
}

/// theta 10000, head_dim 8, 1000 original positions, factors 8, 1 and 4. Wavelengths are 2π 10^i:
///   6.28, 62.8 < 1000 / 4: as they are
///   628.3 between: smooth = (1000/628.3185 - 1) / 3 = 0.197183,  0.01 (0.802817 / 8 + 0.197183) =
///   0.00297535 6283 > 1000: divided by 8
TEST(InverseFrequencies, Llama3ScalingHasThreeZones) {
  auto f = inverse_frequencies(8, 10000.0);
  stretch_llama3(
      f,
      {.factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_positions = 1000});
  EXPECT_EQ(f[0], 1.0f);
  EXPECT_FLOAT_EQ(f[1], 0.1f);
  EXPECT_NEAR(f[2], 0.00297535, 1e-8);
  EXPECT_FLOAT_EQ(f[3], 0.000125f);
}

TEST(Rope, TurnsPairsOfHalvesAndRestartsInEverySequence) {
  const Index length = 19, sequences = 3, heads = 2, head_dim = 6, half = 3;
  const auto f = inverse_frequencies(head_dim, 50.0);
  const RopeTable table = rope_table(f, length);
  const Matrix<float> x = test::random_matrix(sequences * length, heads * head_dim, 4);
  test::Framed y(x.rows(), x.cols());
  y.assign(x);
  rope(y.view(), table);
  for (Index t = 0; t < x.rows(); ++t)
    for (Index h = 0; h < heads; ++h)
      for (Index i = 0; i < half; ++i) {
        const Index c = h * head_dim + i;
        const double angle = static_cast<double>(t % length) * f[static_cast<std::size_t>(i)];
        const auto turned = std::complex<double>(x(t, c), x(t, c + half)) * std::polar(1.0, angle);
        const double tolerance = float_epsilon * (4 + angle);
        EXPECT_NEAR(y.view()(t, c), turned.real(), tolerance) << t << " " << c;
        EXPECT_NEAR(y.view()(t, c + half), turned.imag(), tolerance) << t << " " << c;
      }
  EXPECT_TRUE(y.margin_untouched());
}

TEST(Rope, RefusesWidthsThatAreNotWholeHeads) {
  const RopeTable table = rope_table(inverse_frequencies(4, 100.0), 3);
  Matrix<float> narrow(3, 6), ragged(4, 8), none(0, 8);
  EXPECT_THROW(rope(narrow.view(), table), Bug);
  EXPECT_THROW(rope(ragged.view(), table), Bug);
  EXPECT_NO_THROW(rope(none.view(), table));
}

}  // namespace
}  // namespace constrictor::kernels
