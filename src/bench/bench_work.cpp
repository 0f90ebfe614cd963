// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_work.hpp"

#include <algorithm>

#include "schedule/cost.hpp"
#include "schedule/operations.hpp"

namespace constrictor::bench {
namespace {

double real(Index n) { return static_cast<double>(n); }

bool corrects_drift(const SumShape& shape, Drift drift, double alpha) {
  return shape.drift && drift != Drift::none && alpha != 0;
}

schedule::SideWork work_of(const backend::InputUnit& unit, const SumShape& shape) {
  const auto& s = unit.settings;
  const bool drift = unit.factor && corrects_drift(shape, s.drift, s.alpha);
  return {unit.inputs, unit.factor, drift && s.drift == Drift::sequential, drift && s.shift_wanted,
          s.column_order == Order::pivoted};
}

/// H, R and U; with drift D, P and the shift.
double matrices_of(const backend::InputUnit& unit, const SumShape& shape) {
  const auto work = work_of(unit, shape);
  const bool drift = corrects_drift(shape, unit.settings.drift, unit.settings.alpha);
  return (unit.factor ? 3 : 2) + (drift ? 1 : 0) + (work.panel ? 1 : 0) + (work.shift ? 1 : 0);
}

double weights_of(const backend::LayerInputs& inputs) {
  double numbers = 0;
  for (const backend::LayerPlan& plan : inputs.layers) numbers += real(plan.layer->weight.size());
  return numbers;
}

}  // namespace

PhaseNumbers operations_of(const ModelSpec& model, const backend::LayerInputs& inputs,
                           const SumShape& shape, const calib::Shard& shard, int paths) {
  const double forward = schedule::forward_operations(model, shard.sequences, shard.length);
  PhaseNumbers operations;
  operations.statistics =
      paths * forward + schedule::sum_operations(shape, shard.sequences, shard.length);
  operations.advance = forward;
  for (const backend::InputUnit& unit : inputs.units)
    operations.factor += schedule::factor_operations(work_of(unit, shape));
  for (const backend::LayerPlan& plan : inputs.layers) {
    const Index rows = plan.layer->weight.rows();
    operations.solve += schedule::solve_operations(
        plan.spec, {rows, plan.layer->weight.cols(), plan.heads > 0 ? rows / plan.heads : 0,
                    corrects_drift(shape, plan.spec.drift, plan.spec.alpha)});
  }
  return operations;
}

PhaseNumbers device_bytes_of(const backend::LayerInputs& inputs, Index hidden,
                             const calib::Shard& shard, int paths, Products products) {
  const double states = 4 * real(shard.my_sequences() * shard.length) * real(hidden);
  const double weights = weights_of(inputs), width = products == Products::bfloat16 ? 2 : 4;
  PhaseNumbers bytes;
  bytes.statistics = (paths + 1) * states;
  bytes.solve = 5 * weights;
  bytes.advance = 3 * states;
  bytes.rest = width * weights;
  return bytes;
}

schedule::BlockOnOneRank shares_of(const backend::LayerInputs& inputs, const SumShape& shape,
                                   const backend::TaskCut& cut) {
  schedule::BlockOnOneRank block;
  block.sums_bytes = real(bytes_of_sums(shape));
  for (const backend::InputUnit& unit : inputs.units) {
    block.sides.push_back({static_cast<Index>(block.sides.size()),
                           schedule::factor_cost(unit.inputs, unit.settings.column_order)});
    block.sides_bytes += 4 * matrices_of(unit, shape) * real(unit.inputs) * real(unit.inputs);
  }
  for (const backend::RowTask& task : backend::cut_into_tasks(inputs, cut)) {
    const backend::LayerPlan& plan = inputs.layers[static_cast<std::size_t>(task.layer)];
    const Index in = plan.layer->weight.cols();
    block.rows.push_back(
        {static_cast<Index>(block.rows.size()), schedule::rows_cost(plan.spec, task.rows, in)});
    const Index groups = plan.spec.group_size > 0 ? in / plan.spec.group_size : 1;
    block.results_bytes += real(task.rows) * real(in + 8 * groups);
  }
  return block;
}

double least_bytes(const backend::LayerInputs& inputs, const SumShape& shape,
                   const schedule::BlockOnOneRank& block, const calib::Shard& shard,
                   Reduction reduction) {
  const double streams = 2 * 4 * real(shard.my_sequences() * shard.length) * real(shape.hidden);
  const double sets =
      reduction == Reduction::exact ? real(comm::most_sums_alive(shard.lanes, shard.mine)) : 1;
  return streams + 6 * weights_of(inputs) +
         std::max(sets * block.sums_bytes, block.sums_bytes + block.sides_bytes);
}

}  // namespace constrictor::bench
