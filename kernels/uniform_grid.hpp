// SPDX-License-Identifier: Apache-2.0
#pragma once
// Arithmetic of the grid search that host and device share: ties between codes and between scores
// hang on its order of operations, so it is written once.
#include <bit>
#include <cstdint>

#include "core/matrix.hpp"

namespace constrictor::kernels {

inline constexpr Index grid_shrinks = 100;  // p = 1 - i / 100, i = 0 .. 99

/// Scale of the grid that spans p [low, high] with top + 1 codes. No multiplication is followed by
/// an addition: no compiler can fuse anything here.
template <class T>
constexpr T shrunk_scale(T low, T high, Index shrink, T top) {
  return (high - low) / top * (T(1) - T(shrink) / T(100));
}

/// x^2.4 = x^2 (x^2)^(1/5) of x >= 0; the fifth root by Newton from a guess on the exponent, 3
/// steps reach float32.
constexpr float power_2_4(float x) {
  const float a = x * x;
  float root = std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) / 5 + 0x32c9af22u);
  for (int step = 0; step < 3; ++step) {
    const float square = root * root;
    root = 0.2f * (4.f * root + a / (square * square));
  }
  return a * root;
}

}  // namespace constrictor::kernels
