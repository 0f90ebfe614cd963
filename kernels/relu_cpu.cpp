// SPDX-License-Identifier: Apache-2.0
#include "kernels/relu.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void relu(View<float> X) {
  for_rows(X.rows, [&](Index row) {
    float* x = X.row(row);
#pragma omp simd
    for (Index c = 0; c < X.cols; ++c) x[c] = x[c] < 0.0f ? 0.0f : x[c];
  });
}

}  // namespace constrictor::kernels
