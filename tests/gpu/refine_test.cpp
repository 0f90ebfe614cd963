// SPDX-License-Identifier: Apache-2.0
// Losses and scale refinement on the device, head by head against the host.
#include "quant/refine.hpp"

#include <numeric>

#include "kernels/refine_scales.hpp"
#include "quant/refine_gpu.hpp"
#include "tests/gpu/device_side.hpp"

namespace constrictor::quant {
namespace {

struct Case {
  Index heads, d, in, group;  // heads 0: d rows, one-sided
  bool drift;
};
const Case cases[] = {{0, 1, 1, 1, false},     {0, 37, 48, 48, true}, {0, 37, 48, 16, true},
                      {0, 5, 127, 127, false}, {1, 1, 8, 8, false},   {1, 17, 40, 8, true},
                      {3, 24, 48, 48, true},   {3, 24, 48, 16, true}, {2, 130, 33, 33, false},
                      {2, 13, 24, 1, false}};

struct RefineOnDevice : test::OnDevice {
  /// Made-up codes on made-up grids, and the sides of a case.
  struct Problem {
    Matrix<float> W;
    InputSide<float> input;
    std::vector<OutputSide<float>> outputs;
    std::vector<const OutputSide<float>*> heads;
    Grid<float> grid;
    Matrix<std::uint8_t> codes;
    Index unit;  // rows of a host problem
  };
  Problem made(const Case& c, int bits) {
    Problem p;
    const Index rows = std::max<Index>(1, c.heads) * c.d;
    p.unit = c.heads > 0 ? c.d : rows;
    p.W = random_matrix<float>(rows, c.in, 1);
    p.input = test::random_side(c.in, 2,
                                {.drift = c.drift ? Drift::sequential : Drift::none, .alpha = 0.5});
    if (!c.drift) p.input.D = {};
    for (Index h = 0; h < c.heads; ++h)
      p.outputs.push_back(
          hessian::factor_output<float>(random_hessian<float>(c.d, unsigned(10 + h)).view(), 0.01,
                                        h % 2 == 0 ? Order::descending : Order::original, "test"));
    for (const auto& output : p.outputs) p.heads.push_back(&output);
    p.grid = fit_grid<float>(p.W.view(), {}, {bits, false, c.group, GridSearch::minmax});
    p.codes = round_to_grid<float>(p.W.view(), p.grid);
    return p;
  }
  Objective<float> objective(const Problem& p, Index first) {
    const Index head = first / p.unit;
    return {p.W.view().rows_from(first, p.unit), p.input.H.view(), p.input.D.view(),
            p.heads.empty() ? View<const float>{} : p.outputs[std::size_t(head)].H.view()};
  }
};

TEST_F(RefineOnDevice, LossesAreTheHosts) {
  for (const Case& c : cases) {
    const auto p = made(c, 3);
    const auto input = test::on_device(gpu, p.input);
    const auto W = to_device(p.W), Q = to_device(dequantize<float>(p.codes.view(), p.grid));
    const DeviceHeads heads(gpu, p.heads, p.W.rows());
    const DeviceObjective device_objective(gpu, W.view(), input, heads);
    const auto QH = device_objective.input_product(Q.view());
    const auto losses = device_objective.row_losses(Q.view(), QH.view());
    const auto R = to_host(device_objective.residual(QH.view()));
    double scale = 0;
    for (Index first = 0; first < p.W.rows(); first += p.unit) {
      const auto host = objective(p, first);
      const auto host_Q = to_host(Q);
      const auto part = host_Q.view().rows_from(first, p.unit);
      const auto product = host.input_product(part);
      std::vector<double> expected;
      const double loss = host.loss(part, product.view(), &expected);
      scale += host.scale();
      for (Index r = 0; r < p.unit; ++r)
        EXPECT_NEAR(losses[std::size_t(first + r)], expected[std::size_t(r)],
                    1e-5 * (std::abs(loss) + 1e-2 * host.scale()));
      const auto residual = host.residual(product.view());
      double largest = 1;  // small ones are differences of large ones
      for (const float v : residual.values()) largest = std::max(largest, std::abs(double(v)));
      for (Index r = 0; r < p.unit; ++r)
        for (Index k = 0; k < c.in; ++k)
          ASSERT_NEAR(R(first + r, k), residual(r, k), 1e-4 * largest);
    }
    EXPECT_NEAR(device_objective.scale() / scale, 1, 1e-5);
  }
}

TEST_F(RefineOnDevice, ScalesAndLossesAreTheHosts) {
  for (const Case& c : cases)
    for (const Index passes : {0, 2}) {
      const int bits = passes == 0 ? 4 : 2;
      const auto p = made(c, bits);
      const auto input = test::on_device(gpu, p.input);
      const auto W = to_device(p.W);
      const auto codes = to_device(p.codes);
      const DeviceHeads heads(gpu, p.heads, p.W.rows());
      const DeviceObjective device_objective(gpu, W.view(), input, heads);
      DeviceGrid device_grid(gpu, p.W.rows(), c.in, bits, c.group);
      device::upload<float>(p.grid.scale.view(), device_grid.scale.view(), gpu.main());
      device::upload<float>(p.grid.zero.view(), device_grid.zero.view(), gpu.main());
      const auto found =
          refine_scales(gpu, device_objective, codes.view(), {.passes = passes}, device_grid);
      const auto scale = to_host(device_grid.scale);
      EXPECT_NEAR(std::accumulate(found.row_loss.begin(), found.row_loss.end(), 0.),
                  found.loss_after, 1e-9 * std::abs(found.loss_before));
      double before = 0, after = 0, size = 0;
      for (Index first = 0; first < p.W.rows(); first += p.unit) {
        Grid<float> grid(p.unit, c.in, bits, c.group);
        grid.scale = Matrix<float>(p.grid.scale.view().rows_from(first, p.unit));
        grid.zero = Matrix<float>(p.grid.zero.view().rows_from(first, p.unit));
        const auto expected = refine_scales<float>(
            objective(p, first), p.codes.view().rows_from(first, p.unit), passes,
            p.heads.empty() ? std::vector<std::int32_t>{}
                            : p.outputs[std::size_t(first / p.unit)].order,
            grid);
        size += objective(p, first).scale();
        before += expected.loss_before;
        after += expected.loss_after;
        for (Index r = 0; r < p.unit; ++r)
          for (Index g = 0; g < grid.groups(); ++g)
            EXPECT_NEAR(scale(first + r, g) / grid.scale(r, g), 1, 2e-3)
                << c.heads << " heads of " << c.d << " x " << c.in << " groups of " << c.group;
      }
      EXPECT_NEAR(found.loss_before, before, 1e-4 * std::abs(before) + 1e-7 * size);
      EXPECT_NEAR(found.loss_after, after, 1e-3 * std::abs(after) + 1e-7 * size);
      if (passes == 0) {
        EXPECT_EQ(found.loss_after, found.loss_before);
      }
    }
}

TEST_F(RefineOnDevice, AGroupWhoseCodesAreAllZeroPointsIsSkipped) {
  Case c{0, 2, 4, 2, false};
  auto p = made(c, 2);
  p.grid.scale.fill(0.5);
  p.grid.zero.fill(1);
  p.codes.fill(1);  // Z = 0: the denominator is zero
  p.codes(0, 3) = 2;
  const auto input = test::on_device(gpu, p.input);
  const auto W = to_device(p.W);
  const auto codes = to_device(p.codes);
  const DeviceHeads heads(gpu, {}, 2);
  const DeviceObjective device_objective(gpu, W.view(), input, heads);
  DeviceGrid grid(gpu, 2, 4, 2, 2);
  device::upload<float>(p.grid.scale.view(), grid.scale.view(), gpu.main());
  device::upload<float>(p.grid.zero.view(), grid.zero.view(), gpu.main());
  refine_scales(gpu, device_objective, codes.view(), {.passes = 3}, grid);
  const auto scale = to_host(grid.scale);
  EXPECT_EQ(scale(0, 0), 0.5f);
  EXPECT_EQ(scale(1, 0), 0.5f);
  EXPECT_EQ(scale(1, 1), 0.5f);
  EXPECT_NE(scale(0, 1), 0.5f);
}

/// With an H that is not symmetric a step may lead uphill: the row whose loss rises gets its scale
/// back, the other keeps what it gained.
TEST_F(RefineOnDevice, ScalesAreRestoredWhereTheLossRose) {
  DeviceInputSide input;
  Matrix<float> H(2, 2), W(2, 2);
  H(0, 0) = H(1, 1) = 1;
  H(0, 1) = 9;
  H(1, 0) = -9;
  W(0, 0) = 1.f, W(0, 1) = 2.f;
  W(1, 0) = 1.5f, W(1, 1) = 0.f;
  Matrix<std::uint8_t> host_codes(2, 2);
  host_codes(0, 0) = host_codes(0, 1) = host_codes(1, 0) = 2;
  host_codes(1, 1) = 1;
  input.H = to_device(H);
  const auto device_W = to_device(W);
  const auto codes = to_device(host_codes);
  Matrix<float> ones(2, 1);
  ones.fill(1);
  DeviceGrid grid(gpu, 2, 2, 2, 2);
  device::upload<float>(ones.view(), grid.scale.view(), gpu.main());
  device::upload<float>(ones.view(), grid.zero.view(), gpu.main());
  const DeviceHeads heads(gpu, {}, 2);
  const DeviceObjective objective(gpu, device_W.view(), input, heads);
  const auto found = refine_scales(gpu, objective, codes.view(), {.passes = 1}, grid);
  const auto scale = to_host(grid.scale);
  EXPECT_EQ(scale(0, 0), 1.f);
  EXPECT_EQ(scale(1, 0), 1.5f);
  EXPECT_NEAR(found.row_loss[0], 1, 1e-6);
  EXPECT_NEAR(found.row_loss[1], 0, 1e-6);
  EXPECT_NEAR(found.loss_before, 1.25, 1e-6);
}

}  // namespace
}  // namespace constrictor::quant
