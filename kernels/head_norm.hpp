// SPDX-License-Identifier: Apache-2.0
#pragma once
// The parts of hessian/head_norm.hpp that are no matrix products, on the device. Pages: sequences
// one below the other.
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// For every row u of U [tokens x d], w = g ⊙ (row of W) and v = row of V (v = u / (sqrt(d) r)):
///   a = 1 / r², r² = mean(u²) + eps;   W <- a ((v'w) v / 2 - w);   F <- a T at the row's position
///   g [1 x d], T [length x d], F [tokens x d]
void head_norm_rows(const device::Stream& stream, DeviceView<const float> U,
                    DeviceView<const float> V, DeviceView<const float> g, double eps,
                    DeviceView<const float> T, DeviceView<float> W, DeviceView<float> F);

/// H <- beta H + (1/length) Σ over pages of g_i g_j (Σ_l a_l R_l' M R_l)_ij + N_ij + N_ji, the
/// first term from M and G = T' F. With beta = 0 what H held is not read.
///   M, G, N [pages * d x d], g [1 x d], H [d x d]
void head_norm_metric(const device::Stream& stream, DeviceView<const float> M,
                      DeviceView<const float> G, DeviceView<const float> N,
                      DeviceView<const float> g, Index length, float beta, DeviceView<float> H);

}  // namespace constrictor::kernels
