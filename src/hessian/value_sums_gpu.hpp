// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/device_block.hpp"

namespace constrictor::hessian {

/// Sequences whose probabilities are held at a time: 1.5 GiB of scratch memory, but at least one
/// sequence. Decided by shapes alone, so that the bits of a sum depend on nothing else.
template <class E>
Index value_sequences(const SumShape& shape, Index length);

/// hessian::add_value_sums on the device: per key-value head
///   gram <- beta gram + X~' (Σ_h A_h' A_h) X~     cross <- beta cross + X' (Σ_h A_full,h' A_h) X~
/// with every factor in E and every sum in float32; `full` null without drift. Queued on main().
template <class E>
void add_value_sums(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& quant,
                    const DeviceTrace<E>* full, Index length, float beta,
                    std::vector<DeviceInputSums>& sums);

}  // namespace constrictor::hessian
