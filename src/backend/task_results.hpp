// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <vector>

#include "comm/communicator.hpp"
#include "quant/solvers.hpp"

namespace constrictor::backend {

/// What one task (a tile of rows, or a head) found, and what it took.
struct TaskResult {
  Index task = 0;
  quant::Solution<float> solution;
  std::vector<std::int32_t> row_order;  // of a two-sided head; empty = original
  double seconds = 0;
  double output_damping = 0;  // of H_out
  Index output_retries = 0;
  Index fell_back = 0;  // 1: H_out could not be factored and plain rounding was allowed
};

/// Collective: every rank gets the results of all ranks, in the order of their tasks.
std::vector<TaskResult> share_results(const comm::Communicator& ranks, std::vector<TaskResult> mine,
                                      Index tasks);

}  // namespace constrictor::backend
