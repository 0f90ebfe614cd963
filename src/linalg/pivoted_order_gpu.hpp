// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "device/device_matrix.hpp"
#include "linalg/pivoted_order.hpp"

namespace constrictor::linalg {

/// linalg::pivoted_order on the device; T = float or double. Two matrices of H's size. Waits for
/// the device once a panel.
template <class T>
[[nodiscard]] bool pivoted_order(const device::Context& gpu, DeviceView<const T> H,
                                 std::vector<std::int32_t>& order);

}  // namespace constrictor::linalg
