// SPDX-License-Identifier: Apache-2.0
#include "kernels/add_bias.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void add_bias(std::span<const float> b, View<float> Y) {
  CONSTRICTOR_REQUIRE(static_cast<Index>(b.size()) == Y.cols, b.size(), Y.cols);
  for_rows(Y.rows, [&](Index row) {
    const float* bias = b.data();
    float* y = Y.row(row);
#pragma omp simd
    for (Index c = 0; c < Y.cols; ++c) y[c] += bias[c];
  });
}

}  // namespace constrictor::kernels
