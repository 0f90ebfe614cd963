// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/device_factored.hpp"
#include "quant/grid_gpu.hpp"

namespace constrictor::quant {

/// quant::sweep on the device, for rows that share an input side.
class ColumnSweep {
 public:
  /// `side` must outlive the sweep. `beam` > 1: as in quant/sweep.hpp.
  ColumnSweep(const device::Context& gpu, const DeviceInputSide& side, Index group_size,
              Index beam = 1);

  /// Codes [rows x in] in original order of W [rows x in] on the grids scale and zero [rows x
  /// groups].
  void run(DeviceView<const float> W, const kernels::RowGrids& grids,
           DeviceView<std::uint8_t> codes) const;

 private:
  /// work [rows x in] in sweep order, used up.
  void run_single(DeviceView<float> work, const kernels::RowGrids& grids,
                  DeviceView<std::uint8_t> swept) const;

  const device::Context* gpu_;
  const DeviceInputSide* side_;
  Index beam_;
  device::DeviceMatrix<std::int32_t> order_;  // empty = original
  device::DeviceMatrix<std::int32_t> group_;  // [1 x in] of the columns in sweep order
};

}  // namespace constrictor::quant
