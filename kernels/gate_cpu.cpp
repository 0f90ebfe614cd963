// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/exp.hpp"
#include "kernels/gate.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void gate(View<const float> G, View<float> U) {
  CONSTRICTOR_REQUIRE(G.rows == U.rows && G.cols == U.cols, G.rows, G.cols, U.rows, U.cols);
  for_rows(U.rows, [&](Index row) {
    const float* g = G.row(row);
    float* u = U.row(row);
#pragma omp simd
    for (Index c = 0; c < U.cols; ++c) u[c] *= g[c] / (1.0f + fast_exp(-g[c]));
  });
}

void gelu_gate(View<const float> G, View<float> U) {
  CONSTRICTOR_REQUIRE(G.rows == U.rows && G.cols == U.cols, G.rows, G.cols, U.rows, U.cols);
  constexpr float root = 0.7978845608f;  // sqrt(2 / π)
  for_rows(U.rows, [&](Index row) {
    const float* g = G.row(row);
    float* u = U.row(row);
    for (Index c = 0; c < U.cols; ++c)
      u[c] *= 0.5f * g[c] * (1.0f + std::tanh(root * (g[c] + 0.044715f * g[c] * g[c] * g[c])));
  });
}

}  // namespace constrictor::kernels
