// SPDX-License-Identifier: Apache-2.0
// Integer descent on the device against the host's.
#include "quant/polish.hpp"

#include <numeric>

#include "quant/polish_gpu.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::quant {
namespace {

struct Case {
  Index heads, d, in, group;  // heads 0: d rows, one-sided
  int bits;
};

struct PolishOnDevice : test::OnDevice {};

TEST_F(PolishOnDevice, CodesAndLossesAreTheHosts) {
  for (const Case& c : {Case{0, 1, 1, 1, 2},
                        {0, 13, 160, 160, 2},
                        {0, 9, 288, 32, 4},
                        {1, 7, 130, 130, 3},
                        {3, 13, 48, 16, 2},
                        {2, 20, 160, 160, 4}}) {
    const std::string what =
        (testing::Message() << c.heads << " heads of " << c.d << " x " << c.in << ", groups of "
                            << c.group << ", bits " << c.bits)
            .GetString();
    const Index parts = std::max<Index>(1, c.heads), rows = parts * c.d;
    const auto W = random_matrix<float>(rows, c.in, 1);
    const auto input = test::random_side(c.in, 2, {.drift = Drift::sequential, .alpha = 0.5});
    std::vector<OutputSide<float>> outputs;
    for (Index h = 0; h < c.heads; ++h)
      outputs.push_back(
          hessian::factor_output<float>(random_hessian<float>(c.d, unsigned(10 + h)).view(), 0.01,
                                        h % 2 == 0 ? Order::descending : Order::original, "test"));
    std::vector<const OutputSide<float>*> heads;
    for (const auto& output : outputs) heads.push_back(&output);
    const auto grid = fit_grid<float>(W.view(), {}, {c.bits, false, c.group, GridSearch::minmax});
    const auto start = round_to_grid<float>(W.view(), grid);

    const auto side = test::on_device(gpu, input);
    const auto weight = device::uploaded<float>(gpu, W.view(), "test");
    const DeviceHeads device_heads(gpu, heads, rows);
    const DeviceObjective objective(gpu, weight.view(), side, device_heads);
    DeviceGrid device_grid(gpu, rows, c.in, c.bits, c.group);
    device_grid.scale = device::uploaded<float>(gpu, grid.scale.view(), "test");
    device_grid.zero = device::uploaded<float>(gpu, grid.zero.view(), "test");
    auto codes = device::uploaded<std::uint8_t>(gpu, start.view(), "test");
    const auto found = polish(gpu, objective, heads, device_grid, codes.view());
    const auto polished = device::downloaded<std::uint8_t>(gpu, read_only(codes.view()));

    test::Agreement agreement;
    double before = 0, after = 0;
    for (Index h = 0; h < parts; ++h) {
      const auto of_part = [&](const auto& all) { return all.view().rows_from(h * c.d, c.d); };
      const Objective<float> L(
          of_part(W), input.H.view(), input.D.view(),
          c.heads > 0 ? outputs[std::size_t(h)].H.view() : View<const float>{});
      Grid<float> part = grid;
      part.scale = Matrix<float>(of_part(grid.scale));
      part.zero = Matrix<float>(of_part(grid.zero));
      Fit<float> fit(L, c.heads > 0 ? outputs[std::size_t(h)].order : std::vector<std::int32_t>{},
                     Matrix<std::uint8_t>(of_part(start)), part);
      before += fit.loss;
      polish(fit);
      after += fit.loss;
      agreement.compare(Matrix<std::uint8_t>(of_part(polished)), fit.codes);
    }
    EXPECT_GE(agreement.share(), 0.99) << what;
    EXPECT_NEAR(found.loss_before, before, 1e-4 * std::abs(before)) << what;
    EXPECT_NEAR(found.loss_after, after, 5e-3 * std::abs(after)) << what;
    EXPECT_LE(found.loss_after, found.loss_before) << what;
    if (c.in > 1) {
      EXPECT_LT(found.loss_after, found.loss_before) << what;
    }
    EXPECT_NEAR(std::accumulate(found.row_loss.begin(), found.row_loss.end(), 0.), found.loss_after,
                1e-9 * std::abs(found.loss_after));
  }
}

}  // namespace
}  // namespace constrictor::quant
