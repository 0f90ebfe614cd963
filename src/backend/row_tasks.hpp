// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a block's rows are cut into tasks that any rank may do.
#include <vector>

#include "backend/layer_inputs.hpp"

namespace constrictor::backend {

/// Rows [first_row, first_row + rows) of one layer: a tile of a one-sided layer, or whole heads.
struct RowTask {
  Index layer, unit, first_row, rows;
  Index head;   // the first one; of a one-sided layer: the number of its input unit
  Index heads;  // with an output side each; 0 = one-sided
};

/// How large tasks are. Constants of a backend: what decides a row's bits must not depend on ranks.
struct TaskCut {
  Index tile_rows;  // of a one-sided layer
  Index heads;      // of a two-sided layer that go together
};
inline constexpr TaskCut host_cut{128, 1}, device_cut{1024, 8};

std::vector<RowTask> cut_into_tasks(const LayerInputs& inputs, const TaskCut& cut);

}  // namespace constrictor::backend
