// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/refine_gpu.hpp"

namespace constrictor::quant {

/// quant::polish on the device, all heads at once; `sides` are those of the objective. Codes from
/// before are restored for each head (row) whose loss rose. Waits for the device.
Refinement polish(const device::Context& gpu, const DeviceObjective& objective,
                  const std::vector<const OutputSide<float>*>& sides, const DeviceGrid& grid,
                  DeviceView<std::uint8_t> codes);

}  // namespace constrictor::quant
