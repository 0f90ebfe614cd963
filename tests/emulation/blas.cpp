// SPDX-License-Identifier: Apache-2.0
// cuBLAS: handles and products.
#include "cublas_v2.h"
#include "product.hpp"
#include "runtime.hpp"

using namespace emulation;

namespace {

struct Words {
  cublasStatus_t status;
  const char *name, *text;
};
constexpr Words all_words[] = {
    {CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
    {CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED",
     "the library was not initialized"},
    {CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED", "the resource allocation failed"},
    {CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE",
     "an unsupported value or parameter was passed to the function"},
    {CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH",
     "the function requires an architectural feature absent from the device"},
    {CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR",
     "an access to GPU memory space failed"},
    {CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
     "the GPU program failed to execute"},
    {CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR", "an internal operation failed"},
    {CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED",
     "the functionality requested is not supported"},
    {CUBLAS_STATUS_LICENSE_ERROR, "CUBLAS_STATUS_LICENSE_ERROR",
     "an error was detected when checking the license"},
};

/// What all products check before sizes.
cublasStatus_t check_call(cublasHandle_t handle, const void* alpha, const void* beta) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  // Host scalars are read now: a pointer into the device would crash on hardware.
  if (on_device(alpha) || on_device(beta)) {
    say("alpha and beta lie on the device, the handle says host");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t product(cublasHandle_t handle, cublasComputeType_t compute, Product p,
                       const void* alpha, const void* beta, const char* call) {
  if (const auto status = check_call(handle, alpha, beta); status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (const auto status = supported(compute, p.A.type, p.B.type, p.C.type);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  p.alpha = scalar(compute, alpha);
  p.beta = scalar(compute, beta);
  p.C.data = p.D;
  p.ldd = p.C.ld;
  if (const auto status = check_sizes(p); status != CUBLAS_STATUS_SUCCESS) return status;
  return queue_product(handle->stream, p, call);
}

}  // namespace

const char* cublasGetStatusName(cublasStatus_t status) {
  for (const Words& words : all_words)
    if (words.status == status) return words.name;
  return "unknown";
}
const char* cublasGetStatusString(cublasStatus_t status) {
  for (const Words& words : all_words)
    if (words.status == status) return words.text;
  return "unknown";
}

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (device_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetVersion(cublasHandle_t, int* version) {
  *version = 130000;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!stream_exists(stream)) return CUBLAS_STATUS_INVALID_VALUE;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const bool good = bytes == 0 || (allocated(workspace, bytes) &&
                                   reinterpret_cast<std::uintptr_t>(workspace) % 256 == 0);
  return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) {
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t) {
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  return mode == CUBLAS_POINTER_MODE_HOST ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

#define EMULATED_PRODUCTS(Int, suffix)                                                             \
  cublasStatus_t cublasGemmEx##suffix(                                                             \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const void* alpha, const void* A, cudaDataType a_type, Int lda, const void* B,               \
      cudaDataType b_type, Int ldb, const void* beta, void* C, cudaDataType c_type, Int ldc,       \
      cublasComputeType_t compute, cublasGemmAlgo_t) {                                             \
    return product(                                                                                \
        handle, compute,                                                                           \
        {m, n, k, 0, 0, {A, a_type, lda, op_a}, {B, b_type, ldb, op_b}, {C, c_type, ldc}, C, ldc}, \
        alpha, beta, "cublasGemmEx");                                                              \
  }                                                                                                \
  cublasStatus_t cublasGemmStridedBatchedEx##suffix(                                               \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const void* alpha, const void* A, cudaDataType a_type, Int lda, long long stride_a,          \
      const void* B, cudaDataType b_type, Int ldb, long long stride_b, const void* beta, void* C,  \
      cudaDataType c_type, Int ldc, long long stride_c, Int count, cublasComputeType_t compute,    \
      cublasGemmAlgo_t) {                                                                          \
    return product(handle, compute,                                                                \
                   {m,                                                                             \
                    n,                                                                             \
                    k,                                                                             \
                    0,                                                                             \
                    0,                                                                             \
                    {A, a_type, lda, op_a, stride_a},                                              \
                    {B, b_type, ldb, op_b, stride_b},                                              \
                    {C, c_type, ldc, CUBLAS_OP_N, stride_c},                                       \
                    C,                                                                             \
                    ldc,                                                                           \
                    nullptr,                                                                       \
                    false,                                                                         \
                    count},                                                                        \
                   alpha, beta, "cublasGemmStridedBatchedEx");                                     \
  }                                                                                                \
  EMULATED_PRODUCTS_OF(Int, suffix, S, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)                      \
  EMULATED_PRODUCTS_OF(Int, suffix, D, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)

#define EMULATED_PRODUCTS_OF(Int, suffix, letter, T, type, compute)                                \
  cublasStatus_t cublas##letter##gemm##suffix(                                                     \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const T* alpha, const T* A, Int lda, const T* B, Int ldb, const T* beta, T* C, Int ldc) {    \
    return cublasGemmEx##suffix(handle, op_a, op_b, m, n, k, alpha, A, type, lda, B, type, ldb,    \
                                beta, C, type, ldc, compute, CUBLAS_GEMM_DEFAULT);                 \
  }                                                                                                \
  cublasStatus_t cublas##letter##gemmStridedBatched##suffix(                                       \
      cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, Int m, Int n, Int k,  \
      const T* alpha, const T* A, Int lda, long long stride_a, const T* B, Int ldb,                \
      long long stride_b, const T* beta, T* C, Int ldc, long long stride_c, Int count) {           \
    return cublasGemmStridedBatchedEx##suffix(handle, op_a, op_b, m, n, k, alpha, A, type, lda,    \
                                              stride_a, B, type, ldb, stride_b, beta, C, type,     \
                                              ldc, stride_c, count, compute, CUBLAS_GEMM_DEFAULT); \
  }

EMULATED_PRODUCTS(int, )
EMULATED_PRODUCTS(std::int64_t, _64)
