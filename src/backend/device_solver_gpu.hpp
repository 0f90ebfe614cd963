// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "backend/block_solver.hpp"
#include "backend/device_statistics_gpu.hpp"
#include "comm/device_communicator.hpp"
#include "data/device_factored.hpp"

namespace constrictor::backend {

/// Tasks of 1024 rows, or 8 heads, one after the other on the device of the rank; input sides stay
/// there, output sides (small) are factored on the host.
class DeviceSolver final : public BlockSolver {
 public:
  /// `statistics` null: raw statistics come from `inputs` (a stored file).
  DeviceSolver(const comm::Communicator& ranks, const device::Context& gpu,
               const comm::DeviceCommunicator& devices, const LayerInputs& inputs,
               DeviceStatistics* statistics);
  TaskCut cut() const override { return device_cut; }
  void factor(Index unit) override;
  void share(Index unit, int owner) override;
  SideFacts facts(Index unit) const override;
  std::vector<TaskResult> solve(const std::vector<RowTask>& tasks,
                                const std::vector<Index>& numbers) override;

 private:
  struct Side {
    DeviceInputSide input;
    std::string failure;
  };
  hessian::DeviceInputStatistics raw(const InputUnit& unit);
  TaskResult solve(const RowTask& task);
  TaskResult round_plainly(const RowTask& task);

  const comm::Communicator& ranks_;
  const device::Context& gpu_;
  const comm::DeviceCommunicator& devices_;
  const LayerInputs& inputs_;
  DeviceStatistics* statistics_;
  std::vector<Side> sides_;
};

}  // namespace constrictor::backend
