// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/embed.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void embed(View<const float> E, View<const std::int32_t> ids, View<float> X) {
  CONSTRICTOR_REQUIRE(X.rows == ids.size() && X.cols == E.cols, X.rows, X.cols, ids.size(), E.cols);
  for_rows(X.rows, [&](Index row) {
    const std::int32_t id = ids(row / ids.cols, row % ids.cols);
    CONSTRICTOR_REQUIRE(id >= 0 && id < E.rows, id, E.rows, row);
    std::copy_n(E.row(id), E.cols, X.row(row));
  });
}

void add_positions(View<const float> P, Index offset, Index length, View<float> X) {
  CONSTRICTOR_REQUIRE(P.cols == X.cols && P.rows >= length + offset, P.rows, P.cols, X.cols, length,
                      offset);
  CONSTRICTOR_REQUIRE(X.rows == 0 || (length > 0 && X.rows % length == 0), X.rows, length);
  for_rows(X.rows, [&](Index row) {
    const float* position = P.row(row % length + offset);
    float* x = X.row(row);
#pragma omp simd
    for (Index c = 0; c < X.cols; ++c) x[c] += position[c];
  });
}

}  // namespace constrictor::kernels
