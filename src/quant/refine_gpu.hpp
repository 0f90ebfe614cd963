// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "quant/grid_gpu.hpp"
#include "quant/loss_gpu.hpp"
#include "quant/refine.hpp"

namespace constrictor::quant {

/// quant::refine_scales on the device. Heads (rows, where there are no output sides) do not see
/// each other: the scales from before are restored for each of them whose loss rose. Waits for the
/// device.
Refinement refine_scales(const device::Context& gpu, const DeviceObjective& objective,
                         DeviceView<const std::uint8_t> codes, Index passes, DeviceGrid& grid);

}  // namespace constrictor::quant
