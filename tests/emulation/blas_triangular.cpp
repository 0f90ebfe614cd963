// SPDX-License-Identifier: Apache-2.0
// cuBLAS: triangular solves and products, rank-k updates, sums of matrices.
#include <cblas.h>

#include <algorithm>

#include "cublas_v2.h"
#include "product.hpp"
#include "runtime.hpp"

namespace emulation {

namespace {

using Size = std::int64_t;

CBLAS_SIDE blas(cublasSideMode_t side) { return side == CUBLAS_SIDE_LEFT ? CblasLeft : CblasRight; }
CBLAS_UPLO blas(cublasFillMode_t fill) {
  return fill == CUBLAS_FILL_MODE_UPPER ? CblasUpper : CblasLower;
}
CBLAS_TRANSPOSE blas(cublasOperation_t op) { return op == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; }
CBLAS_DIAG blas(cublasDiagType_t diagonal) {
  return diagonal == CUBLAS_DIAG_UNIT ? CblasUnit : CblasNonUnit;
}
bool fits(Size ld, Size rows) { return ld >= std::max<Size>(rows, 1); }

template <class T>
struct Triangular {
  cublasSideMode_t side;
  cublasFillMode_t fill;
  cublasOperation_t op;
  cublasDiagType_t diagonal;
  Size m, n;
  const T* A;
  Size lda;
  const T* B;
  Size ldb;
  T* C;
  Size ldc;
  Size order() const { return side == CUBLAS_SIDE_LEFT ? m : n; }
};

cublasStatus_t ready(cublasHandle_t handle, bool sizes_fit, const void* alpha, const void* beta) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!sizes_fit || alpha == nullptr || beta == nullptr || on_device(alpha) || on_device(beta))
    return CUBLAS_STATUS_INVALID_VALUE;
  return device_state() == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

/// C <- alpha op(A)^-1 B or alpha op(A) B (side left; else from the right).
template <class T, class Run>
cublasStatus_t triangular(cublasHandle_t handle, const Triangular<T>& t, const T* alpha,
                          const std::string& call, Run run) {
  const bool fit =
      t.m >= 0 && t.n >= 0 && fits(t.lda, t.order()) && fits(t.ldb, t.m) && fits(t.ldc, t.m);
  if (const auto status = ready(handle, fit, alpha, alpha); status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (t.m == 0 || t.n == 0) return CUBLAS_STATUS_SUCCESS;
  if (!within(t.A, t.order(), t.order(), t.lda, sizeof(T), call + ": A") ||
      !within(t.B, t.m, t.n, t.ldb, sizeof(T), call + ": B") ||
      !within(t.C, t.m, t.n, t.ldc, sizeof(T), call + ": C"))
    return CUBLAS_STATUS_SUCCESS;
  submit(handle->stream, [t, run, factor = *alpha] {
    if (t.B != t.C)
      for (Size col = 0; col < t.n; ++col) std::copy_n(t.B + col * t.ldb, t.m, t.C + col * t.ldc);
    run(CblasColMajor, blas(t.side), blas(t.fill), blas(t.op), blas(t.diagonal),
        static_cast<int>(t.m), static_cast<int>(t.n), factor, t.A, static_cast<int>(t.lda), t.C,
        static_cast<int>(t.ldc));
  });
  return CUBLAS_STATUS_SUCCESS;
}

template <class T, class Run>
cublasStatus_t rank_update(cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op,
                           Size n, Size k, const T* alpha, const T* A, Size lda, const T* beta,
                           T* C, Size ldc, Run run) {
  const Size rows = op == CUBLAS_OP_N ? n : k, cols = op == CUBLAS_OP_N ? k : n;
  const bool fit = n >= 0 && k >= 0 && fits(lda, rows) && fits(ldc, n);
  if (const auto status = ready(handle, fit, alpha, beta); status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (!within(A, rows, cols, lda, sizeof(T), "cublas syrk: A") ||
      !within(C, n, n, ldc, sizeof(T), "cublas syrk: C"))
    return CUBLAS_STATUS_SUCCESS;
  submit(handle->stream, [=, a = *alpha, b = *beta] {
    run(CblasColMajor, blas(fill), blas(op), static_cast<int>(n), static_cast<int>(k), a, A,
        static_cast<int>(lda), b, C, static_cast<int>(ldc));
  });
  return CUBLAS_STATUS_SUCCESS;
}

/// C <- alpha op(A) + beta op(B); a matrix whose factor is zero is not read.
template <class T>
cublasStatus_t sum(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Size m,
                   Size n, const T* alpha, const T* A, Size lda, const T* beta, const T* B,
                   Size ldb, T* C, Size ldc) {
  const bool a_as_is = op_a == CUBLAS_OP_N, b_as_is = op_b == CUBLAS_OP_N;
  const bool in_place =
      (C == A && (!a_as_is || lda != ldc)) || (C == B && (!b_as_is || ldb != ldc));
  const bool fit =
      m >= 0 && n >= 0 && fits(lda, a_as_is ? m : n) && fits(ldb, b_as_is ? m : n) && fits(ldc, m);
  if (const auto status = ready(handle, fit && !in_place, alpha, beta);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (!within(C, m, n, ldc, sizeof(T), "cublas geam: C") ||
      (*alpha != 0 &&
       !within(A, a_as_is ? m : n, a_as_is ? n : m, lda, sizeof(T), "cublas geam: A")) ||
      (*beta != 0 &&
       !within(B, b_as_is ? m : n, b_as_is ? n : m, ldb, sizeof(T), "cublas geam: B")))
    return CUBLAS_STATUS_SUCCESS;
  submit(handle->stream, [=, a = *alpha, b = *beta] {
    for (Size col = 0; col < n; ++col)
      for (Size row = 0; row < m; ++row) {
        T value = 0;
        if (a != 0) value += a * A[a_as_is ? col * lda + row : row * lda + col];
        if (b != 0) value += b * B[b_as_is ? col * ldb + row : row * ldb + col];
        C[col * ldc + row] = value;
      }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace emulation

#define EMULATED_TRIANGULAR(Int, suffix, letter, small, T)                                         \
  cublasStatus_t cublas##letter##trsm##suffix(                                                     \
      cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,   \
      cublasDiagType_t diagonal, Int m, Int n, const T* alpha, const T* A, Int lda, T* B,          \
      Int ldb) {                                                                                   \
    return emulation::triangular<T>(handle,                                                        \
                                    {side, fill, op, diagonal, m, n, A, lda, B, ldb, B, ldb},      \
                                    alpha, "cublas trsm", cblas_##small##trsm);                    \
  }                                                                                                \
  cublasStatus_t cublas##letter##trmm##suffix(                                                     \
      cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,   \
      cublasDiagType_t diagonal, Int m, Int n, const T* alpha, const T* A, Int lda, const T* B,    \
      Int ldb, T* C, Int ldc) {                                                                    \
    return emulation::triangular<T>(handle,                                                        \
                                    {side, fill, op, diagonal, m, n, A, lda, B, ldb, C, ldc},      \
                                    alpha, "cublas trmm", cblas_##small##trmm);                    \
  }                                                                                                \
  cublasStatus_t cublas##letter##syrk##suffix(cublasHandle_t handle, cublasFillMode_t fill,        \
                                              cublasOperation_t op, Int n, Int k, const T* alpha,  \
                                              const T* A, Int lda, const T* beta, T* C, Int ldc) { \
    return emulation::rank_update<T>(handle, fill, op, n, k, alpha, A, lda, beta, C, ldc,          \
                                     cblas_##small##syrk);                                         \
  }                                                                                                \
  cublasStatus_t cublas##letter##geam##suffix(                                                     \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n,         \
      const T* alpha, const T* A, Int lda, const T* beta, const T* B, Int ldb, T* C, Int ldc) {    \
    return emulation::sum<T>(handle, op_a, op_b, m, n, alpha, A, lda, beta, B, ldb, C, ldc);       \
  }

EMULATED_TRIANGULAR(int, , S, s, float)
EMULATED_TRIANGULAR(std::int64_t, _64, S, s, float)
EMULATED_TRIANGULAR(int, , D, d, double)
EMULATED_TRIANGULAR(std::int64_t, _64, D, d, double)
