// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/rows.hpp"
#include "kernels/soft_cap.hpp"

namespace constrictor::kernels {

void soft_cap(View<float> X, float cap) {
  CONSTRICTOR_REQUIRE(cap > 0, cap);
  for_rows(X.rows, [&](Index row) {
    float* x = X.row(row);
    for (Index c = 0; c < X.cols; ++c) x[c] = cap * std::tanh(x[c] / cap);
  });
}

}  // namespace constrictor::kernels
