// SPDX-License-Identifier: Apache-2.0
// Products without oneDNN: OpenBLAS, and bfloat16 factors widened to float32.
#include <cblas.h>

#include "linalg/tile_product.hpp"

namespace constrictor::linalg {
namespace {

int blas_int(Index n) {
  CONSTRICTOR_REQUIRE(n <= INT32_MAX, n);
  return static_cast<int>(n);
}
CBLAS_TRANSPOSE blas(Transpose op) { return op == Transpose::yes ? CblasTrans : CblasNoTrans; }

}  // namespace

void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const float> A,
                  View<const float> B, float beta, View<float> C) {
  const Index k = op_a == Transpose::yes ? A.rows : A.cols;
  cblas_sgemm(CblasRowMajor, blas(op_a), blas(op_b), blas_int(C.rows), blas_int(C.cols),
              blas_int(k), alpha, A.data, blas_int(A.stride), B.data, blas_int(B.stride), beta,
              C.data, blas_int(C.stride));
}

void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const bfloat16> A,
                  View<const bfloat16> B, float beta, View<float> C) {
  const auto wide_a = converted<float>(A), wide_b = converted<float>(B);
  tile_product(op_a, op_b, alpha, wide_a.view(), wide_b.view(), beta, C);
}

std::string product_library() { return std::string("OpenBLAS (") + openblas_get_corename() + ")"; }
bool has_native_bfloat16() { return false; }

}  // namespace constrictor::linalg
