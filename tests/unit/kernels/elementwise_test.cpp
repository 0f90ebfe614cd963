// SPDX-License-Identifier: Apache-2.0
// embed, add_positions, add_bias, relu, gate, round_to_bfloat16: against what their equations say.
#include <gtest/gtest.h>

#include "kernels/add_bias.hpp"
#include "kernels/embed.hpp"
#include "kernels/gate.hpp"
#include "kernels/relu.hpp"
#include "kernels/round_to_bfloat16.hpp"
#include "tests/unit/kernels/values.hpp"

namespace constrictor::kernels {
namespace {
const float nan = std::numeric_limits<float>::quiet_NaN();

TEST(Embed, CopiesRowsAndAddsPositionsThatRestart) {
  const Matrix<float> table = test::random_matrix(7, 5, 1),
                      positions = test::random_matrix(6, 5, 2);
  Matrix<std::int32_t> ids(2, 4);
  for (Index s = 0; s < 2; ++s)
    for (Index t = 0; t < 4; ++t) ids(s, t) = static_cast<std::int32_t>((3 * s + 5 * t) % 7);
  Matrix<float> x(8, 5);
  embed(table.view(), read_only(ids.view()), x.view());
  for (Index r = 0; r < 8; ++r)
    for (Index c = 0; c < 5; ++c) EXPECT_EQ(x(r, c), table(ids(r / 4, r % 4), c));
  add_positions(positions.view(), 2, 4, x.view());
  for (Index r = 0; r < 8; ++r)
    for (Index c = 0; c < 5; ++c)
      EXPECT_EQ(x(r, c), table(ids(r / 4, r % 4), c) + positions(2 + r % 4, c));
  EXPECT_THROW(add_positions(positions.view(), 3, 4, x.view()), Bug);  // one position too few
  ids(1, 3) = 7;
  EXPECT_THROW(embed(table.view(), read_only(ids.view()), x.view()), Bug);
  ids(1, 3) = -1;
  EXPECT_THROW(embed(table.view(), read_only(ids.view()), x.view()), Bug);
}

class Widths : public testing::TestWithParam<Index> {};

TEST_P(Widths, AddBiasAndRelu) {
  const Index width = GetParam(), rows = 70;
  const Matrix<float> x = test::random_matrix(rows, width, 5);
  const auto b = test::random_vector(width, 6);
  test::Framed y(rows, width);
  y.assign(x);
  add_bias(b, y.view());
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < width; ++c)
      EXPECT_EQ(y.view()(r, c), x(r, c) + b[static_cast<std::size_t>(c)]);
  y.assign(x);
  relu(y.view());
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < width; ++c) EXPECT_EQ(y.view()(r, c), std::max(x(r, c), 0.0f));
  EXPECT_TRUE(y.margin_untouched());
}

TEST_P(Widths, GateIsSiluTimesUp) {
  const Index width = GetParam(), rows = 40;
  const Matrix<float> g = test::random_matrix(rows, width, 7, 30.0),
                      u = test::random_matrix(rows, width, 8);
  test::Framed y(rows, width);
  y.assign(u);
  gate(g.view(), y.view());
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < width; ++c) {
      const double exact = g(r, c) / (1.0 + std::exp(-static_cast<double>(g(r, c)))) * u(r, c);
      EXPECT_NEAR(y.view()(r, c), exact, 4 * test::float_epsilon * std::abs(exact));
    }
  EXPECT_TRUE(y.margin_untouched());
}

TEST_P(Widths, RoundingToBfloat16IsThatOfTheType) {
  const Index width = GetParam(), rows = 40;
  const Matrix<float> x = test::random_matrix(rows, width, 9, 100.0);
  test::Framed y(rows, width);
  y.assign(x);
  Matrix<bfloat16> kept(rows, width), rounded(rows, width);
  to_bfloat16(x.view(), kept.view());
  round_to_bfloat16(y.view(), rounded.view());
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < width; ++c) {
      EXPECT_EQ(rounded(r, c).bits, bfloat16(x(r, c)).bits);
      EXPECT_EQ(kept(r, c).bits, bfloat16(x(r, c)).bits);
      EXPECT_EQ(y.view()(r, c), rounded_to_bfloat16(x(r, c)));
    }
  EXPECT_TRUE(y.margin_untouched());
}

INSTANTIATE_TEST_SUITE_P(Sizes, Widths, testing::Values(0, 1, 15, 16, 17, 64, 101));

TEST(Gate, SaturatesAndKeepsNan) {
  Matrix<float> g(1, 3), u(1, 3);
  g(0, 0) = -200, g(0, 1) = 200, g(0, 2) = nan;
  u.fill(3);
  gate(read_only(g.view()), u.view());
  EXPECT_EQ(u(0, 0), 0.0f);
  EXPECT_EQ(u(0, 1), 600.0f);
  EXPECT_TRUE(std::isnan(u(0, 2)));
}

TEST(Relu, KeepsNan) {
  Matrix<float> x(1, 1);
  x(0, 0) = nan;
  relu(x.view());
  EXPECT_TRUE(std::isnan(x(0, 0)));
}

TEST(RoundToBfloat16, TiesGoToEvenAndNanStays) {
  Matrix<float> x(1, 20);
  x.fill(1.0f);
  x(0, 0) = 1.0f + 1.0f / 256;  // half way between 1 and 1 + 1/128
  x(0, 1) = 1.0f + 3.0f / 256;  // half way between 1 + 1/128 and 1 + 2/128
  x(0, 2) = nan;
  x(0, 3) = std::bit_cast<float>(0x7f800001u);  // NaN whose upper half alone would be infinity
  x(0, 4) = std::numeric_limits<float>::max();
  Matrix<bfloat16> r(1, 20);
  round_to_bfloat16(x.view(), r.view());
  EXPECT_EQ(x(0, 0), 1.0f);
  EXPECT_EQ(x(0, 1), 1.0f + 2.0f / 128);
  EXPECT_TRUE(std::isnan(x(0, 2)));
  EXPECT_TRUE(std::isnan(x(0, 3)));
  EXPECT_TRUE(std::isinf(x(0, 4)));
}

}  // namespace
}  // namespace constrictor::kernels
