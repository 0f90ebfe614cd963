// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::bench {

/// Seconds of one call: the median of up to seven samples after one call that warms up. Short calls
/// are repeated within a sample, long ones sampled less often.
double median_seconds(const std::function<void()>& run);

/// C [m x n] <- A [m x k] B [k x n] in float32, the plain product that a phase is held against.
struct ProductSize {
  Index m = 0, n = 0, k = 0;
  bool operator==(const ProductSize&) const = default;
};

/// Speed of plain products (linalg::gemm) on this machine, measured once per size.
class PlainProducts {
 public:
  /// On `threads` threads, which must be set already.
  double gflops(ProductSize size, int threads);

 private:
  struct Known {
    ProductSize size;
    int threads;
    double gflops;
  };
  std::vector<Known> known_;
};

}  // namespace constrictor::bench
