// SPDX-License-Identifier: Apache-2.0
#include "quant/sweep.hpp"

#include "kernels/column_sweep.hpp"
#include "quant/sweep_gpu.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::quant {
namespace {

struct ColumnSweepOnDevice : test::OnDevice {
  /// One panel, the kernel against plain loops; everything stands in the middle of wider matrices.
  void compare_panel(Index rows, Index n, bool drift, Index groups, test::Agreement& agreement) {
    constexpr Index edge = 3;
    const auto W = random_matrix<float>(rows, n + 2 * edge, 1);
    const auto side = test::random_side(n, 2, {.drift = Drift::sequential, .alpha = 0.5});
    const Matrix<float> none, &P = drift ? side.P : none;
    std::vector<std::int32_t> group;
    for (Index c = 0; c < n; ++c) group.push_back(std::int32_t(c * 7 % groups));
    auto scale = random_matrix<float>(rows, groups, 3), zero = scale;
    for (float& v : scale.values()) v = 0.5f + 0.1f * std::abs(v);
    for (float& v : zero.values()) v = std::abs(std::rint(v));

    auto expected = W;
    Matrix<float> errors(rows, n);
    Matrix<std::uint8_t> codes(rows, n);
    kernels::column_sweep_reference<float>(expected.view().cols_from(edge, n), side.U.view(),
                                           P.view(), {scale.view(), zero.view(), group.data(), 3.f},
                                           errors.view(), codes.view());

    auto work = to_device(W);
    device::DeviceMatrix<float> found_errors(gpu, rows, n, "errors");
    device::DeviceMatrix<std::uint8_t> found_codes(gpu, rows, n, "codes");
    const auto U = to_device(side.U), device_P = to_device(P), device_scale = to_device(scale),
               device_zero = to_device(zero);
    const auto device_group = device::uploaded(gpu, group, "groups");
    kernels::column_sweep(gpu.main(), work.view().cols_from(edge, n), U.view(), device_P.view(),
                          {device_scale.view(), device_zero.view(), device_group.data(), 3.f},
                          found_errors.view(), found_codes.view());
    const auto w = to_host(work), e = to_host(found_errors);
    const auto c = to_host(found_codes);
    for (Index r = 0; r < rows; ++r) {
      bool equal = true;
      for (Index k = 0; k < n; ++k) equal = equal && c(r, k) == codes(r, k);
      agreement.compare(equal);  // a tie that falls the other way moves all of its row behind it
      for (Index k = 0; k < n + 2 * edge && equal; ++k) {
        const bool inside = k >= edge && k < n + edge;
        ASSERT_NEAR(w(r, k), expected(r, k), inside ? 1e-4 : 0) << r << " " << k;
        if (inside) {
          ASSERT_NEAR(e(r, k - edge), errors(r, k - edge), 1e-4) << r << " " << k;
        }
      }
    }
  }
};

TEST_F(ColumnSweepOnDevice, KernelEqualsItsOracle) {
  test::Agreement rows_equal;
  for (const Index n : {1, 7, 15, 16, 17, 33, 100, 128})
    for (const Index rows : {0, 1, 31, 32, 33, 71})
      for (const bool drift : {false, true})
        compare_panel(rows, n, drift, n > 16 ? 3 : 1, rows_equal);
  EXPECT_GE(rows_equal.share(), 0.995) << rows_equal.different() << " rows";
  EXPECT_GT(rows_equal.compared(), 2000);
}

TEST_F(ColumnSweepOnDevice, NothingToSweep) {
  device::DeviceMatrix<float> W(gpu, 5, 0, "W"), U;
  device::DeviceMatrix<std::uint8_t> codes(gpu, 5, 0, "codes");
  device::DeviceMatrix<float> scale(gpu, 5, 1, "scale");
  kernels::column_sweep(gpu.main(), W.view(), U.view(), U.view(),
                        {scale.view(), scale.view(), nullptr, 3.f}, W.view(), codes.view());
  EXPECT_THROW(
      kernels::column_sweep(gpu.main(), W.view(), scale.view(), U.view(),
                            {scale.view(), scale.view(), nullptr, 3.f}, W.view(), codes.view()),
      Bug);
}

TEST_F(ColumnSweepOnDevice, PanelsEqualTheHostsSweep) {
  test::Agreement codes_equal;
  for (const Index in : {1, 64, 130, 256, 389})
    for (const Index rows : {1, 5, 37})
      for (const Drift drift : {Drift::none, Drift::sequential})
        for (const Order order : {Order::original, Order::descending})
          for (const Index group : {in, in % 32 == 0 ? Index{32} : in}) {
            const auto W = random_matrix<float>(rows, in, unsigned(in + rows));
            const auto side =
                test::random_side(in, 5, {.drift = drift, .alpha = 0.5, .column_order = order});
            const auto grid = fit_grid<float>(W.view(), {}, {3, false, group, GridSearch::minmax});
            const auto expected = sweep<float>(W.view(), side, grid);
            const auto device_side = test::on_device(gpu, side);
            const auto device_W = to_device(W), scale = to_device(grid.scale),
                       zero = to_device(grid.zero);
            device::DeviceMatrix<std::uint8_t> codes(gpu, rows, in, "codes");
            ColumnSweep(gpu, device_side, group)
                .run(device_W.view(), {scale.view(), zero.view(), group, grid.top}, codes.view());
            codes_equal.compare(to_host(codes), expected);
          }
  EXPECT_GE(codes_equal.share(), 0.995) << codes_equal.different() << " codes";
}

}  // namespace
}  // namespace constrictor::quant
