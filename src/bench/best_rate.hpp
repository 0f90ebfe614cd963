// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>

#include "core/matrix.hpp"
#include "core/timer.hpp"

namespace constrictor::bench {

/// Operations per second of products of [size x size] matrices, by the quickest of at least three
/// calls, and of more for half a second.
template <class Product>
double best_rate(Index size, Product&& product) {
  const double start = wall_seconds();
  double best = 1e30;
  for (int call = 0; call < 3 || (call < 20 && wall_seconds() - start < 0.5); ++call) {
    const double before = wall_seconds();
    product();
    best = std::min(best, wall_seconds() - before);
  }
  const auto n = static_cast<double>(size);
  return 2 * n * n * n / best;
}

}  // namespace constrictor::bench
