// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "backend/block_solver.hpp"
#include "comm/communicator.hpp"

namespace constrictor::backend {

/// Tasks of 128 rows, or one head, on the threads of the rank.
class HostSolver final : public BlockSolver {
 public:
  HostSolver(const comm::Communicator& ranks, const LayerInputs& inputs);
  TaskCut cut() const override { return host_cut; }
  void factor(Index unit) override;
  void share(Index unit, int owner) override;
  SideFacts facts(Index unit) const override;
  std::vector<TaskResult> solve(const std::vector<RowTask>& tasks,
                                const std::vector<Index>& numbers) override;

 private:
  /// Unit `number`; held-out sequences, where there are some, choose its alpha.
  InputSide<float> factored(Index number, const hessian::InputStatistics& raw) const;
  /// One input side, or why it could not be factored and may be done without.
  struct Side {
    InputSide<float> input;
    std::string failure;
  };
  TaskResult solve(const RowTask& task, Index number) const;

  const comm::Communicator& ranks_;
  const LayerInputs& inputs_;
  std::vector<Side> sides_;
};

}  // namespace constrictor::backend
