// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rows and columns in another order, on the device.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// Position -> row or column, in device memory; null: as they stand.
struct Positions {
  const std::int32_t* rows = nullptr;
  const std::int32_t* cols = nullptr;
};

/// to(i, j) = from(rows[i], cols[j]), for all of `to`. T = float or uint8.
template <class T>
void gather(const device::Stream& stream, DeviceView<const T> from, const Positions& positions,
            DeviceView<T> to);

/// to(rows[i], cols[j]) = from(i, j), for all of `from`: undoes `gather`.
template <class T>
void scatter(const device::Stream& stream, DeviceView<const T> from, const Positions& positions,
             DeviceView<T> to);

}  // namespace constrictor::kernels
