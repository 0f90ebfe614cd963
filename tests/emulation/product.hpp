// SPDX-License-Identifier: Apache-2.0
#pragma once
// The arithmetic behind cuBLAS and cuBLASLt. Everything is column-major.
#include <cstdint>
#include <string>

#include "cublas_api.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
};

namespace emulation {

struct Factor {
  const void* data;
  cudaDataType type;
  std::int64_t ld;
  cublasOperation_t op = CUBLAS_OP_N;
  std::int64_t stride = 0;  // elements to the next one of a batch
};

/// D <- activation(alpha op(A) op(B) + beta C + bias), bias one value a row.   D [m x n]
struct Product {
  std::int64_t m, n, k;
  double alpha, beta;
  Factor A, B, C;
  void* D;
  std::int64_t ldd;
  const void* bias = nullptr;  // in the type of C
  bool relu = false;
  std::int64_t count = 1;
};

std::size_t size_of(cudaDataType type);
/// The scalars and sums that go with a compute type; NOT_SUPPORTED for types that it does not take.
cublasStatus_t supported(cublasComputeType_t compute, cudaDataType a, cudaDataType b,
                         cudaDataType c);
double scalar(cublasComputeType_t compute, const void* value);

/// INVALID_VALUE for negative sizes and leading dimensions below the number of rows.
cublasStatus_t check_sizes(const Product& product);
/// Whether rows x cols elements from `data` lie within one allocation; breaks the device otherwise.
bool within(const void* data, std::int64_t rows, std::int64_t cols, std::int64_t ld,
            std::size_t size, const std::string& what);
/// Queues the product; operands outside device memory break the device.
cublasStatus_t queue_product(cudaStream_t stream, const Product& product, const std::string& call);

}  // namespace emulation
