// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rotary position embedding (Su et al., 2021) as Transformers computes it, step by step in float32,
// so that angles at late positions agree. `model/rope.hpp` puts the pieces together for a model.

#include <span>
#include <vector>

#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// f_i = theta^(-2i / head_dim), i = 0 .. head_dim / 2 - 1, radians per position; head_dim is even.
std::vector<float> inverse_frequencies(Index head_dim, double theta);

/// `rope_scaling: linear`: all positions move closer together, f <- f / factor.
void stretch_linear(std::span<float> frequencies, double factor);

/// `rope_scaling: llama3`.
struct Llama3Stretch {
  double factor = 8.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  Index original_max_positions = 8192;
};

/// Wavelengths 2π / f above original / low_freq_factor are divided by `factor`, those below
/// original / high_freq_factor stay, between them both are blended.
void stretch_llama3(std::span<float> frequencies, const Llama3Stretch& stretch);

/// cos(l f_i) and sin(l f_i), both [positions x head_dim / 2].
struct RopeTable {
  Matrix<float> cos;
  Matrix<float> sin;
  Index positions() const { return cos.rows(); }
  Index head_dim() const { return 2 * cos.cols(); }
};
RopeTable rope_table(std::span<const float> frequencies, Index positions);

/// In place, every head of every token; element i is paired with element i + head_dim / 2:
///   x_i <- x_i cos - x_{i+h} sin,   x_{i+h} <- x_{i+h} cos + x_i sin,   h = head_dim / 2
///
///   X      [tokens x heads * head_dim]
///   table  `length` positions; token t stands at position t mod length
void rope(View<float> X, const RopeTable& table);

/// The table on a device; computed there in the same precision.
struct DeviceRopeTable {
  DeviceView<const float> cos, sin;  // [positions x head_dim / 2]
};
void rope_table(const device::Stream& stream, DeviceView<const float> frequencies,
                DeviceView<float> cos, DeviceView<float> sin);

/// Y <- X rotated, rounded to E = float or bfloat16 at the end.
template <class E>
void rope(const device::Stream& stream, DeviceView<const float> X, const DeviceRopeTable& table,
          DeviceView<E> Y);

}  // namespace constrictor::kernels
