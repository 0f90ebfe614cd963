// SPDX-License-Identifier: Apache-2.0
// cuSOLVER: workspaces are asked for and looked at as on hardware; `info` is written in the order
// of the stream, on the device.
#include <lapacke.h>

#include <algorithm>
#include <cstring>

#include "cusolverDn.h"
#include "product.hpp"
#include "runtime.hpp"

struct cusolverDnContext {
  cudaStream_t stream = nullptr;
};
struct cusolverDnParams {};

using namespace emulation;

namespace {

struct Task {
  cublasFillMode_t fill;
  std::int64_t n;
  cudaDataType type;
  void* A;
  std::int64_t lda;
};

std::size_t workspace_bytes(const Task& task) {
  return static_cast<std::size_t>(std::max<std::int64_t>(task.n, 1)) * 32 * size_of(task.type);
}
cusolverStatus_t check(cusolverDnHandle_t handle, const Task& task) {
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (task.type != CUDA_R_32F && task.type != CUDA_R_64F) return CUSOLVER_STATUS_NOT_SUPPORTED;
  if (task.n < 0 || task.lda < std::max<std::int64_t>(task.n, 1))
    return CUSOLVER_STATUS_INVALID_VALUE;
  return CUSOLVER_STATUS_SUCCESS;
}

/// run(task) gives LAPACK's info.
template <class Run>
cusolverStatus_t queue(cusolverDnHandle_t handle, const Task& task, void* work, std::size_t bytes,
                       int* info, const std::string& call, Run run) {
  if (const auto status = check(handle, task); status != CUSOLVER_STATUS_SUCCESS) return status;
  if (device_state() != cudaSuccess) return CUSOLVER_STATUS_EXECUTION_FAILED;
  if (bytes < workspace_bytes(task) || !allocated(work, bytes))
    return CUSOLVER_STATUS_INVALID_VALUE;
  if (!within(task.A, task.n, task.n, task.lda, size_of(task.type), call + ": A") ||
      !within(info, 1, 1, 1, sizeof(int), call + ": info"))
    return CUSOLVER_STATUS_SUCCESS;
  submit(handle->stream, [=] {
    std::memset(work, 0xff, workspace_bytes(task));  // hardware writes there, too
    *info = task.n == 0 ? 0 : run(task);
  });
  return CUSOLVER_STATUS_SUCCESS;
}

int cholesky(const Task& task) {
  const char fill = task.fill == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L';
  const int n = static_cast<int>(task.n), lda = static_cast<int>(task.lda);
  return task.type == CUDA_R_32F
             ? LAPACKE_spotrf_work(LAPACK_COL_MAJOR, fill, n, static_cast<float*>(task.A), lda)
             : LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, fill, n, static_cast<double*>(task.A), lda);
}
int triangular_inverse(const Task& task, cublasDiagType_t diagonal) {
  const char fill = task.fill == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L';
  const char unit = diagonal == CUBLAS_DIAG_UNIT ? 'U' : 'N';
  const int n = static_cast<int>(task.n), lda = static_cast<int>(task.lda);
  return task.type == CUDA_R_32F ? LAPACKE_strtri_work(LAPACK_COL_MAJOR, fill, unit, n,
                                                       static_cast<float*>(task.A), lda)
                                 : LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, fill, unit, n,
                                                       static_cast<double*>(task.A), lda);
}

}  // namespace

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  if (device_state() != cudaSuccess) return CUSOLVER_STATUS_NOT_INITIALIZED;
  *handle = new cusolverDnContext;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle) {
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  if (!stream_exists(stream)) return CUSOLVER_STATUS_INVALID_VALUE;
  handle->stream = stream;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnGetStream(cusolverDnHandle_t handle, cudaStream_t* stream) {
  if (handle == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  *stream = handle->stream;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetDeterministicMode(cusolverDnHandle_t handle,
                                                cusolverDeterministicMode_t) {
  return handle == nullptr ? CUSOLVER_STATUS_NOT_INITIALIZED : CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* params) {
  *params = new cusolverDnParams;
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnDestroyParams(cusolverDnParams_t params) {
  delete params;
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cublasFillMode_t fill, std::int64_t n,
                                             cudaDataType type, const void* A, std::int64_t lda,
                                             cudaDataType compute, std::size_t* device_bytes,
                                             std::size_t* host_bytes) {
  const Task task{fill, n, type, const_cast<void*>(A), lda};
  if (params == nullptr || compute != type) return CUSOLVER_STATUS_INVALID_VALUE;
  *device_bytes = workspace_bytes(task);
  *host_bytes = 0;
  return check(handle, task);
}
cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                  cublasFillMode_t fill, std::int64_t n, cudaDataType type, void* A,
                                  std::int64_t lda, cudaDataType compute, void* on_device,
                                  std::size_t device_bytes, void*, std::size_t, int* info) {
  if (params == nullptr || compute != type) return CUSOLVER_STATUS_INVALID_VALUE;
  return queue(handle, {fill, n, type, A, lda}, on_device, device_bytes, info, "cusolverDnXpotrf",
               cholesky);
}
cusolverStatus_t cusolverDnXtrtri_bufferSize(cusolverDnHandle_t handle, cublasFillMode_t fill,
                                             cublasDiagType_t, std::int64_t n, cudaDataType type,
                                             void* A, std::int64_t lda, std::size_t* device_bytes,
                                             std::size_t* host_bytes) {
  const Task task{fill, n, type, A, lda};
  *device_bytes = workspace_bytes(task);
  *host_bytes = 0;
  return check(handle, task);
}
cusolverStatus_t cusolverDnXtrtri(cusolverDnHandle_t handle, cublasFillMode_t fill,
                                  cublasDiagType_t diagonal, std::int64_t n, cudaDataType type,
                                  void* A, std::int64_t lda, void* on_device,
                                  std::size_t device_bytes, void*, std::size_t, int* info) {
  return queue(handle, {fill, n, type, A, lda}, on_device, device_bytes, info, "cusolverDnXtrtri",
               [diagonal](const Task& task) { return triangular_inverse(task, diagonal); });
}

#define EMULATED_CHOLESKY(letter, T, type)                                                     \
  cusolverStatus_t cusolverDn##letter##potrf_bufferSize(                                       \
      cusolverDnHandle_t handle, cublasFillMode_t fill, int n, T* A, int lda, int* elements) { \
    const Task task{fill, n, type, A, lda};                                                    \
    *elements = static_cast<int>(workspace_bytes(task) / sizeof(T));                           \
    return check(handle, task);                                                                \
  }                                                                                            \
  cusolverStatus_t cusolverDn##letter##potrf(cusolverDnHandle_t handle, cublasFillMode_t fill, \
                                             int n, T* A, int lda, T* work, int elements,      \
                                             int* info) {                                      \
    return queue(handle, {fill, n, type, A, lda}, work,                                        \
                 static_cast<std::size_t>(elements) * sizeof(T), info,                         \
                 "cusolverDn" #letter "potrf", cholesky);                                      \
  }
EMULATED_CHOLESKY(S, float, CUDA_R_32F)
EMULATED_CHOLESKY(D, double, CUDA_R_64F)
