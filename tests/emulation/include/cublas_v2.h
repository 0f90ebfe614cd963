// SPDX-License-Identifier: Apache-2.0
#pragma once
// cuBLAS over the host's BLAS: column-major, the same arguments, the same refusals (blas_*.cpp).
#include "cublas_api.h"

cublasStatus_t cublasCreate(cublasHandle_t* handle);
cublasStatus_t cublasDestroy(cublasHandle_t handle);
cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version);
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream);
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream);
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes);
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode);
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode);

// Sizes are int, or int64_t in the functions whose names end in _64.
#define EMULATED_BLAS(Int, suffix)                                                                \
  cublasStatus_t cublasGemmEx##suffix(                                                            \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k, \
      const void* alpha, const void* A, cudaDataType a_type, Int lda, const void* B,              \
      cudaDataType b_type, Int ldb, const void* beta, void* C, cudaDataType c_type, Int ldc,      \
      cublasComputeType_t compute, cublasGemmAlgo_t algorithm);                                   \
  cublasStatus_t cublasGemmStridedBatchedEx##suffix(                                              \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k, \
      const void* alpha, const void* A, cudaDataType a_type, Int lda, long long stride_a,         \
      const void* B, cudaDataType b_type, Int ldb, long long stride_b, const void* beta, void* C, \
      cudaDataType c_type, Int ldc, long long stride_c, Int count, cublasComputeType_t compute,   \
      cublasGemmAlgo_t algorithm);                                                                \
  EMULATED_BLAS_OF(Int, suffix, S, float)                                                         \
  EMULATED_BLAS_OF(Int, suffix, D, double)

#define EMULATED_BLAS_OF(Int, suffix, letter, T)                                                   \
  cublasStatus_t cublas##letter##gemm##suffix(                                                     \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const T* alpha, const T* A, Int lda, const T* B, Int ldb, const T* beta, T* C, Int ldc);     \
  cublasStatus_t cublas##letter##gemmStridedBatched##suffix(                                       \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const T* alpha, const T* A, Int lda, long long stride_a, const T* B, Int ldb,                \
      long long stride_b, const T* beta, T* C, Int ldc, long long stride_c, Int count);            \
  cublasStatus_t cublas##letter##trsm##suffix(cublasHandle_t handle, cublasSideMode_t side,        \
                                              cublasFillMode_t fill, cublasOperation_t op,         \
                                              cublasDiagType_t diagonal, Int m, Int n,             \
                                              const T* alpha, const T* A, Int lda, T* B, Int ldb); \
  cublasStatus_t cublas##letter##trmm##suffix(                                                     \
      cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,   \
      cublasDiagType_t diagonal, Int m, Int n, const T* alpha, const T* A, Int lda, const T* B,    \
      Int ldb, T* C, Int ldc);                                                                     \
  cublasStatus_t cublas##letter##syrk##suffix(cublasHandle_t handle, cublasFillMode_t fill,        \
                                              cublasOperation_t op, Int n, Int k, const T* alpha,  \
                                              const T* A, Int lda, const T* beta, T* C, Int ldc);  \
  cublasStatus_t cublas##letter##geam##suffix(                                                     \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n,         \
      const T* alpha, const T* A, Int lda, const T* beta, const T* B, Int ldb, T* C, Int ldc);

EMULATED_BLAS(int, )
EMULATED_BLAS(std::int64_t, _64)
#undef EMULATED_BLAS
#undef EMULATED_BLAS_OF
