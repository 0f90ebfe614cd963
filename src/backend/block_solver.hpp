// SPDX-License-Identifier: Apache-2.0
#pragma once
// What solve_block asks of a backend: factored input sides, wherever they lie, and solved tasks.
#include <string>
#include <vector>

#include "backend/row_tasks.hpp"
#include "backend/task_results.hpp"
#include "data/specs.hpp"

namespace constrictor::backend {

/// What the record tells of an input side.
struct SideFacts {
  std::vector<std::int32_t> order;  // sweep position -> input; empty = original
  Index dead = 0;                   // inputs that are always zero
  double damping = 0;
  int retries = 0;
  double condition = 1;
  std::string failure;  // why it could not be factored, where plain rounding is allowed; else empty
  double alpha = 0;     // share of the drift that is corrected
};

class BlockSolver {
 public:
  virtual ~BlockSolver() = default;
  virtual TaskCut cut() const = 0;
  /// Damps and factors input unit `unit` of the block here. FactorizationError unless every layer
  /// that uses it allows plain rounding.
  virtual void factor(Index unit) = 0;
  /// Collective: the side of `owner` everywhere.
  virtual void share(Index unit, int owner) = 0;
  virtual SideFacts facts(Index unit) const = 0;
  /// Solves tasks in any order, on all threads it likes; `results[i]` belongs to `numbers[i]`.
  virtual std::vector<TaskResult> solve(const std::vector<RowTask>& tasks,
                                        const std::vector<Index>& numbers) = 0;
};

/// True when every layer that uses the unit allows plain rounding in place of a factorization.
bool fallback_allowed(const LayerInputs& inputs, Index unit);

}  // namespace constrictor::backend
