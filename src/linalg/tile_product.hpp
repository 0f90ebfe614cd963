// SPDX-License-Identifier: Apache-2.0
#pragma once
// One single-threaded library call; called inside parallel_for only, where the libraries use one
// thread.

#include "linalg/gemm.hpp"

namespace constrictor::linalg {

/// C <- alpha op(A) op(B) + beta C on the calling thread.
void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const float> A,
                  View<const float> B, float beta, View<float> C);
void tile_product(Transpose op_a, Transpose op_b, double alpha, View<const double> A,
                  View<const double> B, double beta, View<double> C);
/// alpha = 1, beta = 0 or 1.
void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const bfloat16> A,
                  View<const bfloat16> B, float beta, View<float> C);

}  // namespace constrictor::linalg
