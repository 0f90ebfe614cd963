// SPDX-License-Identifier: Apache-2.0
#include "backend/host_solver.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "core/timer.hpp"
#include "hessian/held_out.hpp"
#include "quant/solvers.hpp"

namespace constrictor::backend {

bool fallback_allowed(const LayerInputs& inputs, Index unit) {
  for (const LayerPlan& plan : inputs.layers)
    if (std::find(plan.units.begin(), plan.units.end(), unit) != plan.units.end() &&
        !plan.spec.fallback_rtn)
      return false;
  return true;
}

HostSolver::HostSolver(const comm::Communicator& ranks, const LayerInputs& inputs)
    : ranks_(ranks), inputs_(inputs), sides_(inputs.units.size()) {}

InputSide<float> HostSolver::factored(Index number, const hessian::InputStatistics& raw) const {
  const InputUnit& unit = inputs_.units[static_cast<std::size_t>(number)];
  auto settings = unit.settings;
  const bool choose = inputs_.fold_statistics && settings.alpha != 0 && !raw.D.empty();
  if (choose) settings.alpha = 1, settings.shift_wanted = true;
  auto side = hessian::factor_input<float>(raw.H.view(), raw.D.view(), settings, unit.name);
  if (!choose || side.D.empty()) return side;
  hessian::set_alpha(hessian::best_alpha(weights_of_unit(inputs_, number), side.shift.view(),
                                         inputs_.fold_statistics(unit)),
                     side);
  if (!unit.settings.shift_wanted) side.shift = {};
  return side;
}

void HostSolver::factor(Index number) {
  const InputUnit& unit = inputs_.units[static_cast<std::size_t>(number)];
  Side& side = sides_[static_cast<std::size_t>(number)];
  const auto raw = inputs_.input_statistics(unit);
  const auto damped = [&] {
    return hessian::damp_input<float>(raw.H.view(), raw.D.view(), unit.settings, unit.name);
  };
  if (!unit.factor) {
    side.input = damped();
    return;
  }
  try {
    side.input = factored(number, raw);
  } catch (const hessian::FactorizationError& error) {
    if (!fallback_allowed(inputs_, number)) throw;
    side.failure = error.what();
    side.input = damped();
  }
}

void HostSolver::share(Index unit, int owner) {
  Side& side = sides_[static_cast<std::size_t>(unit)];
  auto& in = side.input;
  for (Matrix<float>* m : {&in.H, &in.D, &in.shift, &in.R, &in.U, &in.P})
    ranks_.broadcast(*m, owner);
  ranks_.broadcast(in.order, owner);
  ranks_.broadcast(in.dead, owner);
  ranks_.broadcast(in.alpha, owner);
  ranks_.broadcast(in.damping, owner);
  ranks_.broadcast(in.retries, owner);
  ranks_.broadcast(in.condition, owner);
  ranks_.broadcast(side.failure, owner);
}

SideFacts HostSolver::facts(Index unit) const {
  const Side& side = sides_[static_cast<std::size_t>(unit)];
  return {side.input.order,     static_cast<Index>(side.input.dead.size()),
          side.input.damping,   side.input.retries,
          side.input.condition, side.failure,
          side.input.alpha};
}

TaskResult HostSolver::solve(const RowTask& task, Index number) const {
  const double start = wall_seconds();
  const LayerPlan& plan = inputs_.layers[static_cast<std::size_t>(task.layer)];
  const Side& side = sides_[static_cast<std::size_t>(task.unit)];
  const auto W = plan.layer->weight.view().rows_from(task.first_row, task.rows);
  TaskResult result;
  result.task = number;
  const auto round_plainly = [&] {
    result.solution = quant::solve_rtn<float>(W, side.input, nullptr, plan.spec);
  };
  const auto solve_with = [&](const OutputSide<float>* output) {
    result.solution =
        quant::solver<float>(plan.spec.method).solve(W, side.input, output, plan.spec);
  };
  if (!side.failure.empty()) {
    round_plainly();
  } else if (task.heads == 0) {
    solve_with(nullptr);
  } else {
    try {
      const auto output = hessian::factor_output<float>(
          inputs_.output_hessian(plan, task.head).view(), plan.spec.damping, plan.spec.row_order,
          inputs_.units[static_cast<std::size_t>(task.unit)].name);
      result.row_order = output.order;
      result.output_damping = output.damping;
      result.output_retries = output.retries;
      solve_with(&output);
    } catch (const hessian::FactorizationError&) {
      if (!plan.spec.fallback_rtn) throw;
      result.fell_back = 1;
      round_plainly();
    }
  }
  result.seconds = wall_seconds() - start;
  return result;
}

std::vector<TaskResult> HostSolver::solve(const std::vector<RowTask>& tasks,
                                          const std::vector<Index>& numbers) {
  std::vector<TaskResult> results(numbers.size());
  parallel_for(static_cast<Index>(numbers.size()), [&](Index i) {
    const Index number = numbers[static_cast<std::size_t>(i)];
    results[static_cast<std::size_t>(i)] = solve(tasks[static_cast<std::size_t>(number)], number);
  });
  return results;
}

}  // namespace constrictor::backend
