// SPDX-License-Identifier: Apache-2.0
// The K-best sweep and pivoted orders on the device against the host.
#include "kernels/beam_sweep.hpp"
#include "linalg/pivoted_order_gpu.hpp"
#include "quant/sweep.hpp"
#include "quant/sweep_gpu.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::quant {
namespace {

struct BeamOnDevice : test::OnDevice {
  /// One panel with everything that leaves it; prefixes of a row differ a little.
  void compare_panel(Index rows, Index n, Index before, Index kept, test::Agreement& agreement) {
    const Index after = before == 1 ? kernels::prefixes_after(n, kept) : kept;
    auto W = random_matrix<float>(rows * before, n, 1);
    for (Index i = 0; i < W.rows(); ++i)
      for (Index c = 0; c < n; ++c)
        W(i, c) = W(i / before * before, c) + 0.02f * float(i % before) * float(c % 3);
    const auto side = test::random_side(n, 2, {});
    const std::vector<std::int32_t> group(std::size_t(n), 0);
    Matrix<float> scale(rows, 1), zero(rows, 1), cost(rows, kept), errors(rows * after, n);
    for (Index r = 0; r < rows; ++r) {
      scale(r, 0) = 0.5f + 0.01f * float(r), zero(r, 0) = 1;
      for (Index k = 0; k < before; ++k) cost(r, k) = 0.1f * float(k);
    }
    Matrix<std::uint8_t> codes(rows * after, n), root(rows, after);
    const auto device_W = to_device(W), U = to_device(side.U), device_scale = to_device(scale),
               device_zero = to_device(zero);
    const auto device_group = device::uploaded(gpu, group, "groups");
    auto device_cost = to_device(cost);
    device::DeviceMatrix<float> device_errors(gpu, rows * after, n, "errors");
    device::DeviceMatrix<std::uint8_t> device_codes(gpu, rows * after, n, "codes"),
        device_root(gpu, rows, after, "roots");
    kernels::beam_sweep<float>(W.view(), before, side.U.view(),
                               {scale.view(), zero.view(), group.data(), 3.f}, kept,
                               {cost.view(), errors.view(), codes.view(), root.view()});
    kernels::beam_sweep(
        gpu.main(), device_W.view(), before, U.view(),
        {device_scale.view(), device_zero.view(), device_group.data(), 3.f}, kept,
        {device_cost.view(), device_errors.view(), device_codes.view(), device_root.view()});
    const auto found_cost = to_host(device_cost), found_errors = to_host(device_errors);
    const auto found_codes = to_host(device_codes), found_root = to_host(device_root);
    for (Index r = 0; r < rows; ++r) {
      bool equal = true;  // a near tie changes the beam of its row from there on
      for (Index k = 0; k < after; ++k) {
        equal = equal && found_root(r, k) == root(r, k);
        for (Index c = 0; c < n; ++c)
          equal = equal && found_codes(r * after + k, c) == codes(r * after + k, c);
      }
      agreement.compare(equal);
      for (Index k = 0; k < after && equal; ++k) {
        ASSERT_NEAR(found_cost(r, k), cost(r, k), 1e-3 + 1e-3 * cost(r, k));
        for (Index c = 0; c < n; ++c)
          ASSERT_NEAR(found_errors(r * after + k, c), errors(r * after + k, c), 1e-3);
      }
    }
  }

  Matrix<std::uint8_t> swept(const Matrix<float>& W, const InputSide<float>& side,
                             const Grid<float>& grid, Index beam) {
    const auto device_side = test::on_device(gpu, side);
    const auto device_W = to_device(W), scale = to_device(grid.scale), zero = to_device(grid.zero);
    device::DeviceMatrix<std::uint8_t> codes(gpu, W.rows(), W.cols(), "codes");
    ColumnSweep(gpu, device_side, grid.group_size, beam)
        .run(device_W.view(), {scale.view(), zero.view(), grid.group_size, grid.top}, codes.view());
    return to_host(codes);
  }
};

TEST_F(BeamOnDevice, KernelEqualsItsOracle) {
  test::Agreement rows_equal;
  for (const Index kept : {1, 2, 3, 8, 33, 64})
    for (const Index n : {1, 5, 40, 128}) {
      compare_panel(5, n, 1, kept, rows_equal);
      if (kept > 1 && kept < 33) compare_panel(3, n, kept, kept, rows_equal);
    }
  EXPECT_GE(rows_equal.share(), 0.95) << rows_equal.different() << " rows";
}

TEST_F(BeamOnDevice, PanelsEqualTheHostsSweep) {
  test::Agreement codes_equal;
  for (const Index in : {1, 3, 130, 300})
    for (const Index beam : {2, 8, 64}) {
      if (in == 300 && beam == 64) continue;
      const Index rows = in == 130 && beam == 64 ? 130 : 6;  // more than one batch
      const auto W = random_matrix<float>(rows, in, unsigned(in + rows));
      const auto side = test::random_side(in, 5, {.column_order = Order::pivoted});
      const auto grid =
          fit_grid<float>(W.view(), {}, {2, false, in % 100 == 0 ? 100 : in, GridSearch::minmax});
      codes_equal.compare(swept(W, side, grid, beam), sweep<float>(W.view(), side, grid, beam));
    }
  EXPECT_GE(codes_equal.share(), 0.99) << codes_equal.different() << " codes";
}

TEST_F(BeamOnDevice, RefusesSequentialDrift) {
  const auto side = test::random_side(20, 5, {.drift = Drift::sequential, .alpha = 0.5});
  const auto device_side = test::on_device(gpu, side);
  EXPECT_THROW(ColumnSweep(gpu, device_side, 20, 4), Bug);
}

TEST_F(BeamOnDevice, PivotedOrderEqualsTheHosts) {
  for (const Index n : {1, 17, 128, 129, 300, 700}) {
    const auto H = random_hessian<double>(n, 3);
    std::vector<std::int32_t> found, wanted;
    ASSERT_TRUE(linalg::pivoted_order<double>(H.view(), wanted));
    ASSERT_TRUE(linalg::pivoted_order<double>(gpu, to_device(H).view(), found));
    EXPECT_EQ(found, wanted) << n;
    if (n > 300) continue;
    const auto narrow = converted<float>(H.view());
    ASSERT_TRUE(linalg::pivoted_order<float>(gpu, to_device(narrow).view(), found));
    Index equal = 0;
    for (std::size_t i = 0; i < found.size(); ++i) equal += found[i] == wanted[i];
    EXPECT_GE(double(equal), 0.9 * double(n)) << n;  // near ties fall either way in float32
  }
}

TEST_F(BeamOnDevice, PivotedOrderTakesTheLowestNumberAndRefusesWhatHasNoFactor) {
  Matrix<float> H(300, 300);
  for (Index i = 0; i < 300; ++i) H(i, i) = 2;
  std::vector<std::int32_t> found;
  ASSERT_TRUE(linalg::pivoted_order<float>(gpu, to_device(H).view(), found));
  for (Index i = 0; i < 300; ++i) EXPECT_EQ(found[std::size_t(i)], 299 - i);
  H(200, 200) = -1;
  EXPECT_FALSE(linalg::pivoted_order<float>(gpu, to_device(H).view(), found));
  H(200, 200) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(linalg::pivoted_order<float>(gpu, to_device(H).view(), found));
}

}  // namespace
}  // namespace constrictor::quant
