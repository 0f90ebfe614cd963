// SPDX-License-Identifier: Apache-2.0
#include "backend/row_tasks.hpp"

#include <algorithm>

namespace constrictor::backend {

std::vector<RowTask> cut_into_tasks(const LayerInputs& inputs, const TaskCut& cut) {
  std::vector<RowTask> tasks;
  for (std::size_t l = 0; l < inputs.layers.size(); ++l) {
    const LayerPlan& plan = inputs.layers[l];
    const Index out = plan.layer->weight.rows(), units = static_cast<Index>(plan.units.size());
    const Index parts = plan.heads > 0 ? plan.heads : units, rows = out / parts;
    const auto unit_of = [&](Index part) {
      return plan.units[static_cast<std::size_t>(part * units / parts)];
    };
    for (Index p = 0; p < parts;) {
      if (plan.heads == 0) {
        for (Index r = 0; r < rows; r += cut.tile_rows)
          tasks.push_back({static_cast<Index>(l), unit_of(p), p * rows + r,
                           std::min(cut.tile_rows, rows - r), p, 0});
        ++p;
        continue;
      }
      Index heads = 1;  // together as long as they share their input side
      while (heads < cut.heads && p + heads < parts && unit_of(p + heads) == unit_of(p)) ++heads;
      tasks.push_back({static_cast<Index>(l), unit_of(p), p * rows, heads * rows, p, heads});
      p += heads;
    }
  }
  return tasks;
}

}  // namespace constrictor::backend
