// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// X[s * length + t, :] = E[ids[s, t], :]
///
///   E    [vocabulary x width]
///   ids  [sequences x length]   every id in 0 .. vocabulary - 1
///   X    [sequences * length x width]   out
void embed(View<const float> E, View<const std::int32_t> ids, View<float> X);

/// X[s * length + t, :] += P[t + offset, :], positions start at 0 in every sequence.
///
///   P  [positions x width]   at least length + offset rows
void add_positions(View<const float> P, Index offset, Index length, View<float> X);

/// On a device, where nobody looks whether an id is in the vocabulary.
void embed(const device::Stream& stream, DeviceView<const float> E,
           DeviceView<const std::int32_t> ids, DeviceView<float> X);
void add_positions(const device::Stream& stream, DeviceView<const float> P, Index offset,
                   Index length, DeviceView<float> X);

}  // namespace constrictor::kernels
