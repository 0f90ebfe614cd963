// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <numeric>

#include "quant/grid_gpu.hpp"
#include "quant/loss_gpu.hpp"
#include "quant/refine.hpp"

namespace constrictor::quant {

/// quant::refine_scales on the device. Heads (rows, where there are no output sides) do not see
/// each other: the scales from before are restored for each of them whose loss rose. Waits for the
/// device.
Refinement refine_scales(const device::Context& gpu, const DeviceObjective& objective,
                         DeviceView<const std::uint8_t> codes, const RefineSettings& settings,
                         DeviceGrid& grid);

/// Puts back what `old` holds and the losses of every `unit` rows whose loss rose (or is NaN).
template <class T>
void restore_where_worse(const device::Context& gpu, Index unit, DeviceView<const T> old,
                         const std::vector<double>& before, std::vector<double>& after,
                         DeviceView<T> now) {
  const auto loss = [&](const std::vector<double>& losses, Index first) {
    return std::accumulate(losses.begin() + first, losses.begin() + first + unit, 0.);
  };
  for (Index first = 0; first < now.rows; first += unit) {
    if (loss(after, first) <= loss(before, first)) continue;
    std::copy_n(before.begin() + first, unit, after.begin() + first);
    device::copy<T>(old.rows_from(first, unit), now.rows_from(first, unit), gpu.main());
  }
}

}  // namespace constrictor::quant
