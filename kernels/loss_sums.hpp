// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums of the objective, added up in float64, each in a fixed order.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// sums[r] = (G - 2 S) . (Q - W) of row r; S, the drift's part, may be empty.   all [rows x in]
struct LossTerms {
  DeviceView<const float> G, S, Q, W;
};
void row_losses(const device::Stream& stream, const LossTerms& terms, double* sums);

/// sums[r] = A . B of row r.
void row_dots(const device::Stream& stream, DeviceView<const float> A, DeviceView<const float> B,
              double* sums);

/// sums[c] = |Q - W|^2 of column c.
void column_energy(const device::Stream& stream, DeviceView<const float> Q,
                   DeviceView<const float> W, double* sums);

}  // namespace constrictor::kernels
