// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "device/device_matrix.hpp"
#include "kernels/quantized_rows.hpp"

namespace constrictor::quant {

/// quant::beam_sweep on the device.
///   W, codes  [rows x in]  in sweep order
///   group     [in]         on the device
void beam_sweep(const device::Context& gpu, DeviceView<const float> W, DeviceView<const float> U,
                const kernels::RowGrids& grids, const std::int32_t* group, Index kept,
                DeviceView<std::uint8_t> codes);

}  // namespace constrictor::quant
