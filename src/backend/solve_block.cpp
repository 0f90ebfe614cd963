// SPDX-License-Identifier: Apache-2.0
#include "backend/solve_block.hpp"

#include <algorithm>
#include <cmath>

#include "backend/task_results.hpp"
#include "comm/agree.hpp"
#include "data/words.hpp"
#include "schedule/assign.hpp"
#include "schedule/cost.hpp"

namespace constrictor::backend {
namespace {

/// Factors every input unit on its owner and shares it; the owners.
std::vector<int> factor_all(const comm::Communicator& ranks, const LayerInputs& inputs,
                            BlockSolver& solver) {
  std::vector<schedule::Task> tasks;
  for (std::size_t u = 0; u < inputs.units.size(); ++u)
    tasks.push_back(
        {static_cast<Index>(u),
         schedule::factor_cost(inputs.units[u].inputs, inputs.units[u].settings.column_order)});
  auto owner = schedule::assign(tasks, ranks.size());
  comm::agree(ranks, [&] {
    for (std::size_t u = 0; u < owner.size(); ++u)
      if (owner[u] == ranks.rank()) solver.factor(static_cast<Index>(u));
  });
  if (ranks.size() > 1)
    for (std::size_t u = 0; u < owner.size(); ++u) solver.share(static_cast<Index>(u), owner[u]);
  return owner;
}

std::vector<TaskResult> solve_all(const comm::Communicator& ranks, const LayerInputs& inputs,
                                  const std::vector<RowTask>& row_tasks, BlockSolver& solver) {
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
  std::vector<TaskResult> results;
  comm::agree(ranks, [&] { results = solver.solve(row_tasks, mine); });
  return share_results(ranks, std::move(results), static_cast<Index>(tasks.size()));
}

QuantizedLayer empty_layer(const LayerInputs& inputs, const LayerPlan& plan,
                           const BlockSolver& solver, const std::vector<int>& owner) {
  const Index out = plan.layer->weight.rows(), in = plan.layer->weight.cols();
  QuantizedLayer layer;
  layer.name = plan.layer->name;
  layer.role = plan.layer->role;
  layer.spec = plan.spec;
  layer.expert = plan.layer->expert;
  if (layer.expert >= 0 && !inputs.expert_tokens.empty()) {
    layer.expert_tokens = inputs.expert_tokens.at(static_cast<std::size_t>(layer.expert));
    layer.shared_statistics = layer.expert_tokens < in;
  }
  layer.method_used = word(plan.spec.method);
  const Index groups = plan.spec.group_size > 0 ? in / plan.spec.group_size : 1;
  layer.codes = Matrix<std::uint8_t>::uninitialized(out, in);
  layer.scale = Matrix<float>::uninitialized(out, groups);
  layer.zero = Matrix<float>::uninitialized(out, groups);
  layer.column_energy.assign(static_cast<std::size_t>(in), 0);
  layer.rank = owner[static_cast<std::size_t>(plan.units.front())];
  for (const Index u : plan.units) {
    const SideFacts side = solver.facts(u);
    layer.alpha_used += side.alpha / static_cast<double>(plan.units.size());
    layer.damping = std::max(layer.damping, side.damping);
    layer.damping_retries = std::max(layer.damping_retries, side.retries);
    layer.dead_columns = std::max(layer.dead_columns, side.dead);
    layer.condition_estimate = std::max(layer.condition_estimate, side.condition);
    layer.column_order.insert(layer.column_order.end(), side.order.begin(), side.order.end());
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
  layer.loss_by_stage.resize(s.loss_by_stage.size(), 0.);
  for (std::size_t i = 0; i < s.loss_by_stage.size(); ++i)
    layer.loss_by_stage[i] += s.loss_by_stage[i];
  layer.frozen_scales += s.frozen_scales;
  layer.loss_before += s.loss_before;
  layer.loss_after += s.loss_after;
  layer.loss_rounding += s.loss_rounding;
  layer.loss_scale += s.loss_scale;
  layer.rounding.add(s.rounding);
  layer.seconds += result.seconds;
  layer.damping = std::max(layer.damping, result.output_damping);
  layer.damping_retries = std::max(layer.damping_retries, static_cast<int>(result.output_retries));
}

}  // namespace

std::vector<QuantizedLayer> solve_block(const comm::Communicator& ranks, const LayerInputs& inputs,
                                        BlockSolver& solver, SecondsByPhase& seconds) {
  std::vector<int> owner;
  {
    const PhaseTimer timer(seconds, "factor");
    owner = factor_all(ranks, inputs, solver);
  }
  const PhaseTimer timer(seconds, "solve");
  const auto tasks = cut_into_tasks(inputs, solver.cut());
  const auto results = solve_all(ranks, inputs, tasks, solver);

  std::vector<QuantizedLayer> layers;
  std::vector<std::vector<double>> energies;
  for (const LayerPlan& plan : inputs.layers) {
    layers.push_back(empty_layer(inputs, plan, solver, owner));
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

}  // namespace constrictor::backend
