// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/device_block.hpp"

namespace constrictor::hessian {

/// hessian::add_head_norm_metrics on the device, all sequences of a head at once.
template <class E>
void add_head_norm_metrics(const device::Context& gpu, const SumShape& shape,
                           const DeviceTrace<E>& quant, Index length, DeviceSums& sums);

}  // namespace constrictor::hessian
