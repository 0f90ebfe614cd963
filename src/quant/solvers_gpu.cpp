// SPDX-License-Identifier: Apache-2.0
#include "quant/solvers_gpu.hpp"

#include <algorithm>
#include <numeric>

#include "data/stages.hpp"
#include "kernels/loss_sums.hpp"
#include "linalg/gemm_gpu.hpp"
#include "quant/fit.hpp"
#include "quant/polish_gpu.hpp"
#include "quant/row_blocks_gpu.hpp"
#include "quant/sweep_gpu.hpp"

namespace constrictor::quant {
namespace {

using device::DeviceMatrix;
using linalg::Transpose;

/// The weights on the device, columns of dead inputs zero.
DeviceMatrix<float> live_weight(const device::Context& gpu, const DeviceProblem& problem) {
  auto live = device::uploaded<float>(gpu, problem.weight, "weights to quantize");
  for (const Index dead : problem.input->dead)
    device::set_zero<float>(live.view().cols_from(dead, 1), gpu.main());
  return live;
}

/// W* = W + W shift when the drift is exact, else W.
DeviceMatrix<float> target_weight(const device::Context& gpu, DeviceView<const float> W,
                                  const DeviceProblem& problem) {
  auto target = device::copied<float>(gpu, W, "weights to aim at");
  if (problem.spec->drift == Drift::exact && !problem.input->shift.empty())
    linalg::gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, W, problem.input->shift.view(),
                               1, target.view());
  return target;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.);
}

/// Stages of `spec` after the solver (quant/solvers.cpp has them for the host); their losses.
void run_stages(const device::Context& gpu, const DeviceObjective& objective, const QuantSpec& spec,
                const std::vector<const OutputSide<float>*>& heads, DeviceView<std::uint8_t> codes,
                DeviceGrid& grid, Solution<float>& solution) {
  const RefineSettings settings{.passes = spec.refine_passes, .gain = spec.refine_gain};
  const auto stages = stages_of(spec);
  Refinement last;
  const auto take = [&](Refinement done) {
    if (solution.loss_by_stage.empty()) solution.loss_by_stage.push_back(done.loss_before);
    last = std::move(done);
    solution.loss_by_stage.push_back(last.loss_after);
  };
  for (const Stage stage : stages) switch (stage) {
      case Stage::solver:
        break;  // its loss is known to what follows
      case Stage::refine:
        take(refine_scales(gpu, objective, read_only(codes), settings, grid));
        break;
      case Stage::polish:
        take(polish(gpu, objective, heads, grid, codes));
        break;
      case Stage::zeros:
        throw Bug("zero points are refined on the CPU only");
    }
  if (stages.size() == 1) {
    take(refine_scales(gpu, objective, read_only(codes), {.passes = 0}, grid));
    solution.loss_by_stage.pop_back();
  }
  solution.loss_before = solution.loss_by_stage.front();
  solution.loss_after = solution.loss_by_stage.back();
  solution.row_loss = std::move(last.row_loss);
}

/// Goes through the stages, finds the losses, brings everything to the host. The objective is
/// two-sided where `heads` are given.
Solution<float> finished(const device::Context& gpu, DeviceView<const float> W,
                         const DeviceProblem& problem,
                         const std::vector<const OutputSide<float>*>& heads,
                         DeviceMatrix<std::uint8_t>& codes, DeviceGrid& grid) {
  const DeviceHeads sides(gpu, heads, W.rows);
  const DeviceObjective objective(gpu, W, *problem.input, sides);
  Solution<float> solution;
  solution.loss_scale = objective.scale();
  DeviceMatrix<float> Q(gpu, W.rows, W.cols, "dequantized weights");
  {
    DeviceMatrix<std::uint8_t> rounded(gpu, W.rows, W.cols, "codes of plain rounding");
    kernels::round_to_grid(gpu.main(), W, grid.rows(), rounded.view());
    kernels::dequantize(gpu.main(), read_only(rounded.view()), grid.rows(), Q.view());
    const auto product = objective.input_product(read_only(Q.view()));
    solution.loss_rounding = sum(objective.row_losses(read_only(Q.view()), product.view()));
  }
  run_stages(gpu, objective, *problem.spec, heads, codes.view(), grid, solution);

  kernels::dequantize(gpu.main(), codes.view(), grid.rows(), Q.view());
  DeviceMatrix<double> energy(gpu, 1, W.cols, "energies of columns");
  kernels::column_energy(gpu.main(), read_only(Q.view()), W, energy.data());
  const auto columns = device::downloaded<double>(gpu, read_only(energy.view()));
  solution.column_energy.assign(columns.values().begin(), columns.values().end());
  solution.codes = device::downloaded<std::uint8_t>(gpu, codes.view());
  solution.grid = downloaded(gpu, grid, problem.spec->bits);
  solution.frozen_scales = frozen_scales<float>(solution.codes.view(), solution.grid);
  return solution;
}

DeviceGrid fitted_grid(const device::Context& gpu, DeviceView<const float> W,
                       const DeviceProblem& problem) {
  const auto settings = grid_settings(*problem.spec);
  const Index size = settings.group_size > 0 ? settings.group_size : W.cols;
  DeviceGrid grid(gpu, W.rows, W.cols, settings.bits, size);
  GridFitter(gpu, *problem.input, settings).fit(W, grid.scale.view(), grid.zero.view());
  return grid;
}

void check(const DeviceProblem& problem) {
  CONSTRICTOR_REQUIRE(problem.input != nullptr && problem.spec != nullptr, problem.weight.rows);
  CONSTRICTOR_REQUIRE(problem.input->H.rows() == problem.weight.cols, problem.input->H.rows(),
                      problem.weight.cols);
}

Solution<float> solve_gptq(const device::Context& gpu, const DeviceProblem& problem) {
  const auto live = live_weight(gpu, problem);
  const auto target = target_weight(gpu, live.view(), problem);
  auto grid = fitted_grid(gpu, target.view(), problem);
  DeviceMatrix<std::uint8_t> codes(gpu, live.rows(), live.cols(), "codes");
  ColumnSweep(gpu, *problem.input, grid.group_size, problem.spec->beam)
      .run(target.view(), grid.rows(), codes.view());
  return finished(gpu, live.view(), problem, {}, codes, grid);
}

}  // namespace

Solution<float> solve_rtn(const device::Context& gpu, const DeviceProblem& problem) {
  check(problem);
  const auto live = live_weight(gpu, problem);
  auto grid = fitted_grid(gpu, live.view(), problem);
  DeviceMatrix<std::uint8_t> codes(gpu, live.rows(), live.cols(), "codes");
  kernels::round_to_grid(gpu.main(), live.view(), grid.rows(), codes.view());
  return finished(gpu, live.view(), problem, {}, codes, grid);
}

Solution<float> solve(const device::Context& gpu, const DeviceProblem& problem) {
  check(problem);
  if (problem.spec->method == Method::rtn) return solve_rtn(gpu, problem);
  if (problem.spec->method == Method::gptq || problem.heads.empty())
    return solve_gptq(gpu, problem);
  const auto live = live_weight(gpu, problem);
  auto [codes, grid] =
      solve_row_blocks(gpu, target_weight(gpu, live.view(), problem).view(), problem);
  return finished(gpu, live.view(), problem, problem.heads, codes, grid);
}

}  // namespace constrictor::quant
