// SPDX-License-Identifier: Apache-2.0
#include "backend/device_solver_gpu.hpp"

#include <algorithm>

#include "core/timer.hpp"
#include "hessian/damped_gpu.hpp"
#include "quant/solvers_gpu.hpp"

namespace constrictor::backend {
namespace {

template <class T>
void append_rows(Matrix<T>& to, const Matrix<T>& from) {
  if (to.rows() == 0) {
    to = from;
    return;
  }
  auto longer = Matrix<T>::uninitialized(to.rows() + from.rows(), to.cols());
  std::copy(to.data(), to.data() + to.size(), longer.data());
  std::copy(from.data(), from.data() + from.size(), longer.row(to.rows()));
  to = std::move(longer);
}

/// The heads of a task that had to be done one by one, as one result again.
void append(TaskResult& all, TaskResult one) {
  auto &to = all.solution, &from = one.solution;
  const Index rows_before = to.codes.rows();
  append_rows(to.codes, from.codes);
  append_rows(to.grid.scale, from.grid.scale);
  append_rows(to.grid.zero, from.grid.zero);
  to.grid.group_size = from.grid.group_size;
  to.grid.top = from.grid.top;
  to.loss_by_stage.resize(from.loss_by_stage.size(), 0.);
  for (std::size_t i = 0; i < from.loss_by_stage.size(); ++i)
    to.loss_by_stage[i] += from.loss_by_stage[i];
  to.frozen_scales += from.frozen_scales;
  to.loss_before += from.loss_before;
  to.loss_after += from.loss_after;
  to.loss_rounding += from.loss_rounding;
  to.loss_scale += from.loss_scale;
  to.rounding.add(from.rounding);
  to.row_loss.insert(to.row_loss.end(), from.row_loss.begin(), from.row_loss.end());
  to.column_energy.resize(from.column_energy.size(), 0.);
  for (std::size_t c = 0; c < from.column_energy.size(); ++c)
    to.column_energy[c] += from.column_energy[c];
  for (const std::int32_t row : one.row_order)
    all.row_order.push_back(static_cast<std::int32_t>(rows_before) + row);
  all.output_damping = std::max(all.output_damping, one.output_damping);
  all.output_retries = std::max(all.output_retries, one.output_retries);
  all.fell_back = std::max(all.fell_back, one.fell_back);
}

}  // namespace

DeviceSolver::DeviceSolver(const comm::Communicator& ranks, const device::Context& gpu,
                           const comm::DeviceCommunicator& devices, const LayerInputs& inputs,
                           DeviceStatistics* statistics)
    : ranks_(ranks),
      gpu_(gpu),
      devices_(devices),
      inputs_(inputs),
      statistics_(statistics),
      sides_(inputs.units.size()) {}

hessian::DeviceInputStatistics DeviceSolver::raw(const InputUnit& unit) {
  if (statistics_ != nullptr) return statistics_->input(unit);
  const auto host = inputs_.input_statistics(unit);
  hessian::DeviceInputStatistics stored{
      device::uploaded<float>(gpu_, host.H.view(), "stored statistics"), {}};
  if (!host.D.empty()) stored.D = device::uploaded<float>(gpu_, host.D.view(), "stored statistics");
  gpu_.main().synchronize();  // the host's matrices end here
  return stored;
}

void DeviceSolver::factor(Index number) {
  const InputUnit& unit = inputs_.units[static_cast<std::size_t>(number)];
  Side& side = sides_[static_cast<std::size_t>(number)];
  const auto damped = [&] {
    auto statistics = raw(unit);
    return hessian::damp_input(gpu_, std::move(statistics.H), std::move(statistics.D),
                               unit.settings, unit.name);
  };
  if (!unit.factor) {
    side.input = damped();
    return;
  }
  try {
    auto statistics = raw(unit);
    side.input = hessian::factor_input(gpu_, std::move(statistics.H), std::move(statistics.D),
                                       unit.settings, unit.name);
  } catch (const hessian::FactorizationError& error) {
    if (!fallback_allowed(inputs_, number)) throw;
    side.failure = error.what();
    side.input = damped();
  }
}

void DeviceSolver::share(Index unit, int owner) {
  Side& side = sides_[static_cast<std::size_t>(unit)];
  auto& in = side.input;
  std::vector<Index> there;  // which matrices there are: all [in x in]
  in.for_each_matrix([&](const auto& m) { there.push_back(m.rows()); });
  ranks_.broadcast(there, owner);
  ranks_.broadcast(in.order, owner);
  ranks_.broadcast(in.dead, owner);
  ranks_.broadcast(in.damping, owner);
  ranks_.broadcast(in.retries, owner);
  ranks_.broadcast(in.condition, owner);
  ranks_.broadcast(in.alpha, owner);
  ranks_.broadcast(side.failure, owner);
  std::vector<DeviceView<float>> views;
  std::size_t number = 0;
  in.for_each_matrix([&](auto& m) {
    const Index n = there[number++];
    if (n == 0) return;
    if (ranks_.rank() != owner) m = device::DeviceMatrix<float>(gpu_, n, n, "a factored Hessian");
    views.push_back(m.view());
  });
  devices_.broadcast(views, owner, gpu_.main());
  devices_.finish(gpu_.main());
}

SideFacts DeviceSolver::facts(Index unit) const {
  const Side& side = sides_[static_cast<std::size_t>(unit)];
  return {side.input.order,     static_cast<Index>(side.input.dead.size()),
          side.input.damping,   side.input.retries,
          side.input.condition, side.failure,
          side.input.alpha};
}

TaskResult DeviceSolver::round_plainly(const RowTask& task) {
  const LayerPlan& plan = inputs_.layers[static_cast<std::size_t>(task.layer)];
  TaskResult result;
  result.solution =
      quant::solve_rtn(gpu_, {plan.layer->weight.view().rows_from(task.first_row, task.rows),
                              &sides_[static_cast<std::size_t>(task.unit)].input,
                              {},
                              &plan.spec});
  return result;
}

TaskResult DeviceSolver::solve(const RowTask& task) {
  const LayerPlan& plan = inputs_.layers[static_cast<std::size_t>(task.layer)];
  const Side& side = sides_[static_cast<std::size_t>(task.unit)];
  if (!side.failure.empty()) return round_plainly(task);
  quant::DeviceProblem problem{
      plan.layer->weight.view().rows_from(task.first_row, task.rows), &side.input, {}, &plan.spec};
  TaskResult result;
  std::vector<OutputSide<float>> outputs(static_cast<std::size_t>(task.heads));
  const Index rows = task.heads > 0 ? task.rows / task.heads : 0;
  try {
    for (Index h = 0; h < task.heads; ++h) {
      auto& output = outputs[static_cast<std::size_t>(h)];
      output = hessian::factor_output<float>(
          inputs_.output_hessian(plan, task.head + h).view(), plan.spec.damping,
          plan.spec.row_order, inputs_.units[static_cast<std::size_t>(task.unit)].name);
      for (const std::int32_t row : output.order)
        result.row_order.push_back(static_cast<std::int32_t>(h * rows) + row);
      result.output_damping = std::max(result.output_damping, output.damping);
      result.output_retries = std::max(result.output_retries, Index{output.retries});
      problem.heads.push_back(&output);
    }
  } catch (const hessian::FactorizationError&) {
    if (!plan.spec.fallback_rtn) throw;
    TaskResult all;
    if (task.heads == 1) {
      all = round_plainly(task);
      all.fell_back = 1;
      return all;
    }
    for (Index h = 0; h < task.heads; ++h)
      append(all,
             solve({task.layer, task.unit, task.first_row + h * rows, rows, task.head + h, 1}));
    return all;
  }
  result.solution = quant::solve(gpu_, problem);
  return result;
}

std::vector<TaskResult> DeviceSolver::solve(const std::vector<RowTask>& tasks,
                                            const std::vector<Index>& numbers) {
  std::vector<TaskResult> results;
  for (const Index number : numbers) {
    const double start = wall_seconds();
    results.push_back(solve(tasks[static_cast<std::size_t>(number)]));
    results.back().task = number;
    results.back().seconds = wall_seconds() - start;
  }
  return results;
}

}  // namespace constrictor::backend
