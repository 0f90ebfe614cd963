// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// U <- silu(G) ⊙ U,  silu(x) = x / (1 + e^-x)   (SwiGLU, Shazeer 2020)
///
///   G, U  [rows x width]   the gate's and the up layer's output
void gate(View<const float> G, View<float> U);

/// Y <- silu(G) ⊙ U, rounded to E = float or bfloat16.
template <class E>
void gate(const device::Stream& stream, DeviceView<const float> G, DeviceView<const float> U,
          DeviceView<E> Y);

/// U <- gelu(G) ⊙ U,  gelu(x) = x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))
void gelu_gate(View<const float> G, View<float> U);
template <class E>
void gelu_gate(const device::Stream& stream, DeviceView<const float> G, DeviceView<const float> U,
               DeviceView<E> Y);

}  // namespace constrictor::kernels
