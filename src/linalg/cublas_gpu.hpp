// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside linalg/*_gpu.cpp only. cuBLAS is column-major: a row-major [rows x cols] matrix is its
// transpose there, [cols x rows] with the same leading dimension, hence
//   C = op(A) op(B)   is asked for as   C' = op(B)' op(A)'   with the factors swapped.
#include <cublas_v2.h>

#include <algorithm>
#include <type_traits>

#include "core/bfloat16.hpp"
#include "device/check_cuda.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::linalg {

template <class T>
constexpr cudaDataType cuda_type() {
  if constexpr (std::is_same_v<T, double>) return CUDA_R_64F;
  if constexpr (std::is_same_v<T, float>) return CUDA_R_32F;
  if constexpr (std::is_same_v<T, bfloat16>) return CUDA_R_16BF;
}

/// How products of T are added up: double in double, everything else in float32 (never TF32).
template <class T>
constexpr cublasComputeType_t compute_type =
    std::is_same_v<T, double> ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
/// The type of alpha and beta that goes with it.
template <class T>
using Scalar = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline cublasOperation_t cublas_operation(Transpose op) {
  return op == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

/// Sizes of C <- op(A) op(B), checked.
struct ProductShape {
  Index m, n, k;
};
template <class In, class Out>
ProductShape product_shape(Transpose op_a, Transpose op_b, const In& A, const In& B, const Out& C) {
  const bool a = op_a == Transpose::yes, b = op_b == Transpose::yes;
  const Index m = a ? A.cols : A.rows, k = a ? A.rows : A.cols;
  const Index n = b ? B.rows : B.cols, k_b = b ? B.cols : B.rows;
  CONSTRICTOR_REQUIRE(C.rows == m && C.cols == n && k == k_b, C.rows, C.cols, m, n, k, k_b);
  return {m, n, k};
}

/// The leading dimension of a view; at least 1 and never below the row's length, as the library
/// asks, also where a view has no or one row.
template <class T>
Index leading(const DeviceView<T>& view) {
  CONSTRICTOR_REQUIRE(view.rows <= 1 || view.stride >= view.cols, view.rows, view.cols,
                      view.stride);
  return std::max<Index>({1, view.stride, view.cols});
}

}  // namespace constrictor::linalg
