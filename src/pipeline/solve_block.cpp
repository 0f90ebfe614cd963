// SPDX-License-Identifier: Apache-2.0
#include "pipeline/solve_block.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/agree.hpp"
#include "core/parallel.hpp"
#include "data/words.hpp"
#include "pipeline/task_results.hpp"
#include "schedule/assign.hpp"
#include "schedule/cost.hpp"

namespace constrictor::pipeline {
namespace {

constexpr Index tile_rows =
    128;  // of a one-sided layer; a number that does not depend on the ranks

/// One input side on every rank, or the reason why it could not be factored and may be done
/// without.
struct Side {
  InputSide<float> input;
  std::string failure;
  int rank = 0;
};

bool fallback_allowed(const LayerInputs& inputs, Index unit) {
  for (const LayerPlan& plan : inputs.layers)
    if (std::find(plan.units.begin(), plan.units.end(), unit) != plan.units.end() &&
        !plan.spec.fallback_rtn)
      return false;
  return true;
}

Side factored(const LayerInputs& inputs, Index number) {
  const InputUnit& unit = inputs.units[static_cast<std::size_t>(number)];
  const auto raw = inputs.input_statistics(unit);
  Side side;
  if (!unit.factor) {
    side.input = hessian::damp_input<float>(raw.H.view(), raw.D.view(), unit.settings, unit.name);
    return side;
  }
  try {
    side.input = hessian::factor_input<float>(raw.H.view(), raw.D.view(), unit.settings, unit.name);
  } catch (const hessian::FactorizationError& error) {
    if (!fallback_allowed(inputs, number)) throw;
    side.failure = error.what();
    side.input = hessian::damp_input<float>(raw.H.view(), raw.D.view(), unit.settings, unit.name);
  }
  return side;
}

void broadcast(const comm::Communicator& ranks, Side& side) {
  auto& in = side.input;
  for (Matrix<float>* m : {&in.H, &in.D, &in.shift, &in.R, &in.U, &in.P})
    ranks.broadcast(*m, side.rank);
  ranks.broadcast(in.order, side.rank);
  ranks.broadcast(in.dead, side.rank);
  ranks.broadcast(in.damping, side.rank);
  ranks.broadcast(in.retries, side.rank);
  ranks.broadcast(in.condition, side.rank);
  ranks.broadcast(side.failure, side.rank);
}

std::vector<Side> factor_all(const comm::Communicator& ranks, const LayerInputs& inputs) {
  std::vector<schedule::Task> tasks;
  for (std::size_t u = 0; u < inputs.units.size(); ++u)
    tasks.push_back({static_cast<Index>(u), schedule::factor_cost(inputs.units[u].inputs)});
  const auto owner = schedule::assign(tasks, ranks.size());
  std::vector<Side> sides(inputs.units.size());
  comm::agree(ranks, [&] {
    for (std::size_t u = 0; u < sides.size(); ++u)
      if (owner[u] == ranks.rank()) sides[u] = factored(inputs, static_cast<Index>(u));
  });
  for (std::size_t u = 0; u < sides.size(); ++u) {
    sides[u].rank = owner[u];
    if (ranks.size() > 1) broadcast(ranks, sides[u]);
  }
  return sides;
}

/// Rows [first_row, first_row + rows) of one layer.
struct RowTask {
  Index layer, unit, first_row, rows, head;
  bool two_sided;
};

std::vector<RowTask> cut_into_tasks(const LayerInputs& inputs) {
  std::vector<RowTask> tasks;
  for (std::size_t l = 0; l < inputs.layers.size(); ++l) {
    const LayerPlan& plan = inputs.layers[l];
    const Index out = plan.layer->weight.rows(), units = static_cast<Index>(plan.units.size());
    const Index parts = plan.heads > 0 ? plan.heads : units, rows = out / parts;
    for (Index p = 0; p < parts; ++p) {
      const Index unit = plan.units[static_cast<std::size_t>(p * units / parts)];
      const Index step = plan.heads > 0 ? rows : tile_rows;
      for (Index r = 0; r < rows; r += step)
        tasks.push_back({static_cast<Index>(l), unit, p * rows + r, std::min(step, rows - r), p,
                         plan.heads > 0});
    }
  }
  return tasks;
}

TaskResult solve(const LayerInputs& inputs, const std::vector<Side>& sides, const RowTask& task,
                 Index number) {
  const double start = wall_seconds();
  const LayerPlan& plan = inputs.layers[static_cast<std::size_t>(task.layer)];
  const Side& side = sides[static_cast<std::size_t>(task.unit)];
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
  } else if (!task.two_sided) {
    solve_with(nullptr);
  } else {
    try {
      const auto output = hessian::factor_output<float>(
          inputs.output_hessian(plan, task.head).view(), plan.spec.damping, plan.spec.row_order,
          inputs.units[static_cast<std::size_t>(task.unit)].name);
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

std::vector<TaskResult> solve_all(const comm::Communicator& ranks, const LayerInputs& inputs,
                                  const std::vector<Side>& sides,
                                  const std::vector<RowTask>& row_tasks) {
  std::vector<schedule::Task> tasks;
  for (std::size_t t = 0; t < row_tasks.size(); ++t) {
    const LayerPlan& plan = inputs.layers[static_cast<std::size_t>(row_tasks[t].layer)];
    tasks.push_back({static_cast<Index>(t),
                     schedule::rows_cost(plan.spec, row_tasks[t].rows, plan.layer->weight.cols())});
  }
  const auto owner = schedule::assign(tasks, ranks.size());
  std::vector<Index> mine;
  for (std::size_t t = 0; t < tasks.size(); ++t)
    if (owner[t] == ranks.rank()) mine.push_back(static_cast<Index>(t));
  std::stable_sort(mine.begin(), mine.end(),
                   [&](Index a, Index b) {  // longest first keeps the threads busy to the end
                     return tasks[static_cast<std::size_t>(a)].cost >
                            tasks[static_cast<std::size_t>(b)].cost;
                   });
  std::vector<TaskResult> results(mine.size());
  comm::agree(ranks, [&] {
    parallel_for(static_cast<Index>(mine.size()), [&](Index i) {
      const Index t = mine[static_cast<std::size_t>(i)];
      results[static_cast<std::size_t>(i)] =
          solve(inputs, sides, row_tasks[static_cast<std::size_t>(t)], t);
    });
  });
  return share_results(ranks, std::move(results), static_cast<Index>(tasks.size()));
}

QuantizedLayer empty_layer(const LayerPlan& plan, const std::vector<Side>& sides) {
  const Index out = plan.layer->weight.rows(), in = plan.layer->weight.cols();
  QuantizedLayer layer;
  layer.name = plan.layer->name;
  layer.role = plan.layer->role;
  layer.spec = plan.spec;
  layer.method_used = word(plan.spec.method);
  const Index groups = plan.spec.group_size > 0 ? in / plan.spec.group_size : 1;
  layer.codes = Matrix<std::uint8_t>::uninitialized(out, in);
  layer.scale = Matrix<float>::uninitialized(out, groups);
  layer.zero = Matrix<float>::uninitialized(out, groups);
  layer.column_energy.assign(static_cast<std::size_t>(in), 0);
  layer.rank = sides[static_cast<std::size_t>(plan.units.front())].rank;
  for (const Index u : plan.units) {
    const Side& side = sides[static_cast<std::size_t>(u)];
    layer.damping = std::max(layer.damping, side.input.damping);
    layer.damping_retries = std::max(layer.damping_retries, side.input.retries);
    layer.dead_columns = std::max(layer.dead_columns, static_cast<Index>(side.input.dead.size()));
    layer.condition_estimate = std::max(layer.condition_estimate, side.input.condition);
    layer.column_order.insert(layer.column_order.end(), side.input.order.begin(),
                              side.input.order.end());
    if (!side.failure.empty()) layer.method_used = word(Method::rtn);
  }
  return layer;
}

void add_result(const TaskResult& result, const RowTask& task, QuantizedLayer& layer,
                std::vector<double>& energy) {
  const auto& s = result.solution;
  for (Index r = 0; r < task.rows; ++r) {
    const Index row = task.first_row + r;
    std::copy(s.codes.row(r), s.codes.row(r) + s.codes.cols(), layer.codes.row(row));
    std::copy(s.grid.scale.row(r), s.grid.scale.row(r) + s.grid.scale.cols(), layer.scale.row(row));
    std::copy(s.grid.zero.row(r), s.grid.zero.row(r) + s.grid.zero.cols(), layer.zero.row(row));
    layer.row_loss.push_back(static_cast<float>(s.row_loss[static_cast<std::size_t>(r)]));
  }
  for (const std::int32_t position : result.row_order)
    layer.row_order.push_back(static_cast<std::int32_t>(task.first_row) + position);
  for (std::size_t c = 0; c < energy.size(); ++c) energy[c] += s.column_energy[c];
  if (result.fell_back != 0) layer.method_used = word(Method::rtn);
  layer.loss_before += s.loss_before;
  layer.loss_after += s.loss_after;
  layer.loss_rounding += s.loss_rounding;
  layer.loss_scale += s.loss_scale;
  layer.seconds += result.seconds;
  layer.damping = std::max(layer.damping, result.output_damping);
  layer.damping_retries = std::max(layer.damping_retries, static_cast<int>(result.output_retries));
}

}  // namespace

std::vector<QuantizedLayer> solve_block(const comm::Communicator& ranks, const LayerInputs& inputs,
                                        SecondsByPhase& seconds) {
  std::vector<Side> sides;
  {
    const PhaseTimer timer(seconds, "factor");
    sides = factor_all(ranks, inputs);
  }
  const PhaseTimer timer(seconds, "solve");
  const auto tasks = cut_into_tasks(inputs);
  const auto results = solve_all(ranks, inputs, sides, tasks);

  std::vector<QuantizedLayer> layers;
  std::vector<std::vector<double>> energies;
  for (const LayerPlan& plan : inputs.layers) {
    layers.push_back(empty_layer(plan, sides));
    energies.emplace_back(static_cast<std::size_t>(plan.layer->weight.cols()), 0.);
  }
  for (std::size_t t = 0; t < tasks.size();
       ++t) {  // in the order of rows: sums do not depend on who solved what
    const auto layer = static_cast<std::size_t>(tasks[t].layer);
    add_result(results[t], tasks[t], layers[layer], energies[layer]);
  }
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (std::size_t c = 0; c < energies[l].size(); ++c)
      layers[l].column_energy[c] = static_cast<float>(std::sqrt(energies[l][c]));
  return layers;
}

}  // namespace constrictor::pipeline
