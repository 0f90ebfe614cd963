// SPDX-License-Identifier: Apache-2.0
// Kernels without sums: equal to the CPU's, or as near as their exponential and rounding.
#include <limits>

#include "kernels/add_bias.hpp"
#include "kernels/embed.hpp"
#include "kernels/error_sums.hpp"
#include "kernels/first_nonfinite.hpp"
#include "kernels/gate.hpp"
#include "tests/gpu/on_device.hpp"

namespace constrictor::kernels {
namespace {

using test::DeviceFrame;

struct DeviceElementwise : test::OnDeviceRows {
  Index rows = GetParam().rows, cols = GetParam().cols, margin = GetParam().margin;
};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceElementwise, testing::ValuesIn(test::ragged_shapes));

TEST_P(DeviceElementwise, AddBias) {
  Matrix<float> Y = test::random_matrix(rows, cols, 1);
  const auto b = test::random_vector(cols, 2);
  DeviceFrame<float> found(gpu, Y, margin);
  const auto device_b = to_device(Matrix<float>({b.data(), 1, cols, cols}));
  add_bias(gpu.main(), device_b.view(), found.view());
  add_bias(b, Y.view());
  test::expect_near(found.values(), Y, 0);
}

template <class E>
void expect_gate(const device::Context& gpu, const Matrix<float>& G, const Matrix<float>& U,
                 Index margin) {
  Matrix<float> expected = U;
  gate(G.view(), expected.view());
  DeviceFrame<float> device_g(gpu, G, margin), device_u(gpu, U, margin);
  DeviceFrame<E> found(gpu, G.rows(), G.cols(), margin);
  gate<E>(gpu.main(), device_g.view(), device_u.view(), found.view());
  // both exponentials are exact to 2 units, plus three roundings
  test::expect_near(found.values(), expected, 6 * test::float_epsilon + test::rounding_of<E>,
                    1e-37);
}
TEST_P(DeviceElementwise, Gate) {
  const auto G = test::random_matrix(rows, cols, 3, 20), U = test::random_matrix(rows, cols, 4);
  expect_gate<float>(gpu, G, U, margin);
  expect_gate<bfloat16>(gpu, G, U, margin);
}

TEST_P(DeviceElementwise, ErrorSums) {
  const auto X = test::random_matrix(rows, cols, 5), Y = test::random_matrix(rows, cols, 6);
  Matrix<double> expected(rows, 4);
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < cols; ++c) {
      const double x = X(r, c), y = Y(r, c);
      expected(r, 0) += (y - x) * (y - x);
      expected(r, 1) += x * x;
      expected(r, 2) += y * y;
      expected(r, 3) += x * y;
    }
  DeviceFrame<float> device_x(gpu, X, margin), device_y(gpu, Y, margin);
  device::DeviceMatrix<double> sums(gpu, rows, 4, "error sums");
  error_sums(gpu.main(), device_x.view(), device_y.view(), sums.view());
  const Matrix<double> found = to_host(sums);
  // sums of terms up to 4, added in another order
  const auto terms = static_cast<double>(cols);
  const double tolerance =
      4 * std::numeric_limits<double>::epsilon() * terms * (4 + std::sqrt(terms));
  for (Index i = 0; i < found.size(); ++i)
    EXPECT_LE(std::abs(found.data()[i] - expected.data()[i]), tolerance) << i;
}

template <class T>
Index first_nonfinite(const device::Context& gpu, const Matrix<float>& X, Index margin) {
  DeviceFrame<T> device_x(gpu, converted<T>(X.view()), margin);
  device::DeviceMatrix<Index> first(gpu, 1, 1, "the first row");
  first_nonfinite_row<T>(gpu.main(), device_x.view(), first.view());
  return device::downloaded<Index>(gpu, first.view())(0, 0);
}
TEST_P(DeviceElementwise, FirstNonfiniteRow) {
  Matrix<float> X = test::random_matrix(rows, cols, 7, 1e30);
  const auto expect_first = [&](Index row) {
    EXPECT_EQ(first_nonfinite<float>(gpu, X, margin), row);
    EXPECT_EQ(first_nonfinite<bfloat16>(gpu, X, margin), row);
  };
  expect_first(rows);
  if (X.empty()) return;
  X(rows - 1, cols - 1) = std::numeric_limits<float>::quiet_NaN();
  expect_first(rows - 1);
  X(rows / 2, cols / 2) = -std::numeric_limits<float>::infinity();
  expect_first(rows / 2);
  X(0, 0) = std::numeric_limits<float>::infinity();
  expect_first(0);
}

struct EmbedShape {
  Index sequences, length, vocabulary, width, margin;
};
class DeviceEmbed : public test::OnDevice, public testing::WithParamInterface<EmbedShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceEmbed,
                         testing::Values(EmbedShape{0, 3, 2, 4, 0}, EmbedShape{1, 1, 1, 1, 0},
                                         EmbedShape{3, 7, 11, 13, 1},
                                         EmbedShape{2, 5, 97, 1032, 0}));

TEST_P(DeviceEmbed, RowsAndPositions) {
  const auto [sequences, length, vocabulary, width, margin] = GetParam();
  const Index offset = 2;
  const auto E = test::random_matrix(vocabulary, width, 1);
  const auto P = test::random_matrix(length + offset, width, 2);
  Matrix<std::int32_t> ids(sequences, length);
  for (Index i = 0; i < ids.size(); ++i)
    ids.data()[i] = static_cast<std::int32_t>((i * 37 + 5) % vocabulary);
  Matrix<float> expected(sequences * length, width);
  embed(E.view(), ids.view(), expected.view());

  DeviceFrame<float> device_e(gpu, E, margin), device_p(gpu, P, margin);
  DeviceFrame<float> found(gpu, expected.rows(), width, margin);
  const auto device_ids = to_device(ids);
  embed(gpu.main(), device_e.view(), device_ids.view(), found.view());
  test::expect_near(found.values(), expected, 0);
  add_positions(P.view(), offset, length, expected.view());
  add_positions(gpu.main(), device_p.view(), offset, length, found.view());
  test::expect_near(found.values(), expected, 0);
}

}  // namespace
}  // namespace constrictor::kernels
