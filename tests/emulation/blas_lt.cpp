// SPDX-License-Identifier: Apache-2.0
// cuBLASLt's product with the epilogues bias and ReLU.
#include <cstring>

#include "cublasLt.h"
#include "product.hpp"
#include "runtime.hpp"

struct cublasLtContext {};
struct EmulatedMatmulDescription {
  cublasComputeType_t compute;
  cublasOperation_t op_a = CUBLAS_OP_N, op_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int bias_type = -1;  // the type of D
};
struct EmulatedMatrixLayout {
  cudaDataType type;
  std::int64_t rows, cols, ld;
};
struct EmulatedMatmulPreference {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D
};

using namespace emulation;

namespace {

constexpr std::size_t workspace_needed = 64 << 10;  // a small one, so that none at all is noticed

template <class T>
cublasStatus_t set(T& place, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&place, value, sizeof(T));
  return CUBLAS_STATUS_SUCCESS;
}

bool aligned(const void* pointer, std::uint64_t alignment) {
  return alignment == 0 || reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

cublasStatus_t product_of(const EmulatedMatmulDescription& d, const EmulatedMatrixLayout& A,
                          const EmulatedMatrixLayout& B, const EmulatedMatrixLayout& C,
                          const EmulatedMatrixLayout& D, Product& p) {
  p.m = D.rows;
  p.n = D.cols;
  p.k = d.op_a == CUBLAS_OP_N ? A.cols : A.rows;
  p.A = {nullptr, A.type, A.ld, d.op_a};
  p.B = {nullptr, B.type, B.ld, d.op_b};
  p.C = {nullptr, C.type, C.ld};
  p.ldd = D.ld;
  const bool shapes = (d.op_a == CUBLAS_OP_N ? A.rows : A.cols) == p.m &&
                      (d.op_b == CUBLAS_OP_N ? B.rows : B.cols) == p.k &&
                      (d.op_b == CUBLAS_OP_N ? B.cols : B.rows) == p.n && C.rows == D.rows &&
                      C.cols == D.cols && p.m > 0 && p.n > 0 && p.k > 0;
  if (!shapes) return CUBLAS_STATUS_INVALID_VALUE;
  if (C.type != D.type || (d.bias_type >= 0 && d.bias_type != D.type))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (const auto status = supported(d.compute, A.type, B.type, D.type);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  return check_sizes(p);
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (device_state() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
std::size_t cublasLtGetVersion() { return 130000; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description,
                                        cublasComputeType_t compute, cudaDataType scalars) {
  const bool in_double = compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  if (scalars != (in_double ? CUDA_R_64F : CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  *description = new EmulatedMatmulDescription{compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(description->op_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set(description->op_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(description->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set(description->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return set(description->bias_type, value, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t cols, std::int64_t ld) {
  *layout = new EmulatedMatrixLayout{type, static_cast<std::int64_t>(rows),
                                     static_cast<std::int64_t>(cols), ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedMatmulPreference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  std::uint32_t ignored = 0;
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return set(preference->alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return set(preference->alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return set(preference->alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(preference->alignment[3], value, bytes);
    default:
      return set(ignored, value, bytes);
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a_layout,
    cublasLtMatrixLayout_t b_layout, cublasLtMatrixLayout_t c_layout,
    cublasLtMatrixLayout_t d_layout, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  Product p{};
  if (const auto status = product_of(*description, *a_layout, *b_layout, *c_layout, *d_layout, p);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  results[0] = {};
  for (int i = 0; i < 4; ++i) results[0].algo.data[i] = preference->alignment[i];
  results[0].workspaceSize = preference->workspace_bytes < workspace_needed ? 0 : workspace_needed;
  results[0].algo.data[4] = results[0].workspaceSize;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                              const void* alpha, const void* A, cublasLtMatrixLayout_t a_layout,
                              const void* B, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* C, cublasLtMatrixLayout_t c_layout, void* D,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr || beta == nullptr || on_device(alpha) || on_device(beta))
    return CUBLAS_STATUS_INVALID_VALUE;
  Product p{};
  if (const auto status = product_of(*description, *a_layout, *b_layout, *c_layout, *d_layout, p);
      status != CUBLAS_STATUS_SUCCESS)
    return status;
  if (algorithm != nullptr) {
    const auto& promised = algorithm->data;
    if (!aligned(A, promised[0]) || !aligned(B, promised[1]) || !aligned(C, promised[2]) ||
        !aligned(D, promised[3]))
      return CUBLAS_STATUS_INVALID_VALUE;
    if (workspace_bytes < promised[4] ||
        (promised[4] > 0 && !allocated(workspace, workspace_bytes)))
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  p.alpha = scalar(description->compute, alpha);
  p.beta = scalar(description->compute, beta);
  p.A.data = A;
  p.B.data = B;
  p.C.data = C;
  p.D = D;
  p.relu = (description->epilogue & CUBLASLT_EPILOGUE_RELU) != 0;
  if ((description->epilogue & CUBLASLT_EPILOGUE_BIAS) != 0) {
    if (description->bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    p.bias = description->bias;
  }
  return queue_product(stream, p, "cublasLtMatmul");
}
