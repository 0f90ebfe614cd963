// SPDX-License-Identifier: Apache-2.0
// The small kernels around the solvers: other orders, codes and grids, sums.
#include "kernels/quantized_rows.hpp"

#include <numeric>

#include "kernels/loss_sums.hpp"
#include "kernels/permute.hpp"
#include "kernels/split_bfloat16.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::kernels {
namespace {

using quant::random_matrix;
using RowKernelsOnDevice = test::OnDevice;

struct Shape {
  Index rows, cols;
};
const Shape shapes[] = {{0, 3}, {1, 1}, {3, 7}, {13, 256}, {5, 257}, {31, 1031}};

std::vector<std::int32_t> reversed(Index n) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.rbegin(), order.rend(), 0);
  return order;
}

TEST_F(RowKernelsOnDevice, GatherTakesAndScatterPutsBack) {
  for (const auto [rows, cols] : shapes) {
    const auto M = random_matrix<float>(rows, cols, 1);
    const auto from = to_device(M);
    const auto row_order = device::uploaded(gpu, reversed(rows), "rows"),
               col_order = device::uploaded(gpu, reversed(cols), "columns");
    for (const Positions at :
         {Positions{}, Positions{row_order.data(), nullptr}, Positions{nullptr, col_order.data()},
          Positions{row_order.data(), col_order.data()}}) {
      device::DeviceMatrix<float> taken(gpu, rows, cols, "taken"), back(gpu, rows, cols, "back");
      gather<float>(gpu.main(), from.view(), at, taken.view());
      scatter<float>(gpu.main(), read_only(taken.view()), at, back.view());
      const auto t = to_host(taken), b = to_host(back);
      for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < cols; ++c) {
          ASSERT_EQ(t(r, c), M(at.rows == nullptr ? r : rows - 1 - r,
                               at.cols == nullptr ? c : cols - 1 - c));
          ASSERT_EQ(b(r, c), M(r, c));
        }
    }
  }
}

TEST_F(RowKernelsOnDevice, CodesAndGridsAreTheHosts) {
  for (const auto [rows, cols] : shapes)
    for (const Index size : {cols, Index{1}}) {
      const auto W = random_matrix<float>(rows, cols, 2);
      const auto grid = quant::fit_grid<float>(W.view(), {}, {3, false, size, GridSearch::minmax});
      const auto codes = quant::round_to_grid<float>(W.view(), grid);
      const auto Q = quant::dequantize<float>(codes.view(), grid);
      const auto scale = to_device(grid.scale), zero = to_device(grid.zero),
                 device_W = to_device(W);
      const RowGrids grids{scale.view(), zero.view(), size, grid.top};
      device::DeviceMatrix<std::uint8_t> device_codes(gpu, rows, cols, "codes");
      device::DeviceMatrix<float> device_Q(gpu, rows, cols, "Q"), Z(gpu, rows, cols, "Z"),
          difference(gpu, rows, cols, "difference");
      round_to_grid(gpu.main(), device_W.view(), grids, device_codes.view());
      dequantize(gpu.main(), read_only(device_codes.view()), grids, device_Q.view());
      shift_codes(gpu.main(), read_only(device_codes.view()), grids, Z.view());
      subtract(gpu.main(), device_W.view(), read_only(device_Q.view()), difference.view());
      const auto found_codes = to_host(device_codes);
      const auto found = to_host(device_Q), left = to_host(difference);
      scale_groups(gpu.main(), scale.view(), size, Z.view());
      const auto scaled = to_host(Z);
      for (Index i = 0; i < W.size(); ++i) {
        ASSERT_EQ(found_codes.data()[i], codes.data()[i]);
        ASSERT_EQ(found.data()[i], Q.data()[i]);
        ASSERT_EQ(scaled.data()[i], Q.data()[i]);  // s Z
        ASSERT_EQ(left.data()[i], W.data()[i] - Q.data()[i]);
      }
    }
}

TEST_F(RowKernelsOnDevice, SumsAreThoseOfPlainLoops) {
  for (const auto [rows, cols] : shapes)
    for (const bool drift : {false, true}) {
      const auto G = random_matrix<float>(rows, cols, 3), Q = random_matrix<float>(rows, cols, 4),
                 W = random_matrix<float>(rows, cols, 5);
      const Matrix<float> S = drift ? random_matrix<float>(rows, cols, 6) : Matrix<float>();
      const auto g = to_device(G), q = to_device(Q), w = to_device(W), s = to_device(S);
      device::DeviceMatrix<double> losses(gpu, 1, rows, "losses"), dots(gpu, 1, rows, "dots"),
          energy(gpu, 1, cols, "energy");
      device::DeviceMatrix<float> squares(gpu, 1, rows, "squares");
      row_losses(gpu.main(), {g.view(), s.view(), q.view(), w.view()}, losses.data());
      row_dots(gpu.main(), g.view(), q.view(), dots.data());
      column_energy(gpu.main(), q.view(), w.view(), energy.data());
      row_squares(gpu.main(), g.view(), squares.data());
      const auto found_losses = to_host(losses), found_dots = to_host(dots),
                 found_energy = to_host(energy);
      const auto found_squares = to_host(squares);
      std::vector<double> columns(static_cast<std::size_t>(cols), 0);
      for (Index r = 0; r < rows; ++r) {
        double loss = 0, dot = 0, square = 0;
        for (Index c = 0; c < cols; ++c) {
          const double change = double(Q(r, c)) - double(W(r, c));
          loss += (double(G(r, c)) - (drift ? 2 * double(S(r, c)) : 0)) * double(Q(r, c) - W(r, c));
          dot += double(G(r, c)) * double(Q(r, c));
          square += double(G(r, c)) * double(G(r, c));
          columns[std::size_t(c)] += change * change;
        }
        EXPECT_NEAR(found_losses(0, r), loss, 1e-12 * double(cols) * 20);
        EXPECT_NEAR(found_dots(0, r), dot, 1e-12 * double(cols) * 20);
        EXPECT_NEAR(double(found_squares(0, r)), square, 1e-6 * square);
      }
      for (Index c = 0; c < cols; ++c)
        EXPECT_NEAR(found_energy(0, c), columns[std::size_t(c)], 1e-12 * double(rows) * 20);
    }
}

TEST_F(RowKernelsOnDevice, TwoHalvesLeaveTwoToTheMinus17) {
  for (const auto [rows, cols] : shapes) {
    const auto M = random_matrix<float>(rows, cols, 7);
    const auto m = to_device(M);
    const Index pitch = (cols + 7) / 8 * 8;
    device::DeviceMatrix<bfloat16> high(gpu, rows, pitch, "high"), low(gpu, rows, pitch, "low");
    device::DeviceMatrix<float> rest(gpu, 1, rows, "rest");
    split_bfloat16(gpu.main(), m.view(), high.view(), low.view(), rest.data());
    const auto h = to_host(high), l = to_host(low);
    const auto left = to_host(rest);
    for (Index r = 0; r < rows; ++r) {
      double squares = 0;
      for (Index c = 0; c < pitch; ++c) {
        const double sum = double(float(h(r, c))) + double(float(l(r, c)));
        const double value = c < cols ? double(M(r, c)) : 0;
        ASSERT_LE(std::abs(sum - value), std::ldexp(std::abs(value), -17));
        squares += (sum - value) * (sum - value);
      }
      EXPECT_NEAR(double(left(0, r)), squares, 1e-5 * squares);
    }
  }
}

}  // namespace
}  // namespace constrictor::kernels
