// SPDX-License-Identifier: Apache-2.0
#include "product.hpp"

#include <cblas.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/bfloat16.hpp"
#include "runtime.hpp"

namespace emulation {

namespace {

using constrictor::bfloat16;

std::int64_t rows_of(const Factor& factor, std::int64_t rows, std::int64_t cols) {
  return factor.op == CUBLAS_OP_N ? rows : cols;
}

/// The stored matrix [rows x cols] in T without gaps, unless it is of that type already.
template <class T>
struct Widened {
  const T* data;
  std::int64_t ld;
  std::vector<T> copy;
  Widened(const Factor& factor, std::int64_t rows, std::int64_t cols, std::int64_t index) {
    const auto* first = static_cast<const unsigned char*>(factor.data) +
                        index * factor.stride * static_cast<std::int64_t>(size_of(factor.type));
    if (factor.type != CUDA_R_16BF) {
      data = reinterpret_cast<const T*>(first);
      ld = factor.ld;
      return;
    }
    const auto* values = reinterpret_cast<const bfloat16*>(first);
    copy.resize(static_cast<std::size_t>(rows * cols));
#pragma omp parallel for if (rows * cols > 1 << 16)
    for (std::int64_t col = 0; col < cols; ++col)
      for (std::int64_t row = 0; row < rows; ++row)
        copy[static_cast<std::size_t>(col * rows + row)] =
            static_cast<T>(static_cast<float>(values[col * factor.ld + row]));
    data = copy.data();
    ld = std::max<std::int64_t>(rows, 1);
  }
};

void blas(CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b, int m, int n, int k, float alpha, const float* A,
          int lda, const float* B, int ldb, float beta, float* C, int ldc) {
  cblas_sgemm(CblasColMajor, a, b, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}
void blas(CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b, int m, int n, int k, double alpha, const double* A,
          int lda, const double* B, int ldb, double beta, double* C, int ldc) {
  cblas_dgemm(CblasColMajor, a, b, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}

/// In panels of columns, each by one thread: like a device's, the bits of a product depend on its
/// shape only, not on the number of the host's threads.
template <class T>
void gemm(CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b, int m, int n, int k, T alpha, const T* A, int lda,
          const T* B, int ldb, T beta, T* C, int ldc) {
  constexpr int width = 256;
#pragma omp parallel for schedule(dynamic, 1)
  for (int first = 0; first < n; first += width)
    blas(a, b, m, std::min(width, n - first), k, alpha, A, lda,
         b == CblasNoTrans ? B + static_cast<std::int64_t>(first) * ldb : B + first, ldb, beta,
         C + static_cast<std::int64_t>(first) * ldc, ldc);
}

template <class T, class Out>
T widened(Out value) {
  if constexpr (std::is_same_v<Out, bfloat16>)
    return static_cast<T>(static_cast<float>(value));
  else
    return static_cast<T>(value);
}

/// T: the type of sums, float or double. Out: what is stored.
template <class T, class Out>
void multiply_one(const Product& p, std::int64_t index) {
  const Widened<T> A(p.A, rows_of(p.A, p.m, p.k), rows_of(p.A, p.k, p.m), index);
  const Widened<T> B(p.B, rows_of(p.B, p.k, p.n), rows_of(p.B, p.n, p.k), index);
  const auto* C = static_cast<const Out*>(p.C.data) + index * p.C.stride;
  auto* D = static_cast<Out*>(p.D) + index * p.C.stride;
  const auto op = [](const Factor& f) { return f.op == CUBLAS_OP_N ? CblasNoTrans : CblasTrans; };
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
  const T alpha = static_cast<T>(p.alpha), beta = static_cast<T>(p.beta);
  if constexpr (std::is_same_v<T, Out>) {
    if (C == D && p.bias == nullptr && !p.relu) {
      gemm(op(p.A), op(p.B), m, n, k, alpha, A.data, static_cast<int>(A.ld), B.data,
           static_cast<int>(B.ld), beta, D, static_cast<int>(p.ldd));
      return;
    }
  }
  std::vector<T> sums(static_cast<std::size_t>(p.m * p.n));
  gemm(op(p.A), op(p.B), m, n, k, alpha, A.data, static_cast<int>(A.ld), B.data,
       static_cast<int>(B.ld), T(0), sums.data(), m);
  const auto* bias = static_cast<const Out*>(p.bias);
#pragma omp parallel for if (p.m * p.n > 1 << 16)
  for (std::int64_t col = 0; col < p.n; ++col)
    for (std::int64_t row = 0; row < p.m; ++row) {
      T value = sums[static_cast<std::size_t>(col * p.m + row)];
      if (beta != T(0)) value += beta * widened<T>(C[col * p.C.ld + row]);
      if (bias != nullptr) value += widened<T>(bias[row]);
      if (p.relu && value < T(0)) value = T(0);
      D[col * p.ldd + row] = static_cast<Out>(value);
    }
}

void multiply(const Product& p) {
  for (std::int64_t index = 0; index < p.count; ++index) {
    if (p.C.type == CUDA_R_64F)
      multiply_one<double, double>(p, index);
    else if (p.C.type == CUDA_R_32F)
      multiply_one<float, float>(p, index);
    else
      multiply_one<float, bfloat16>(p, index);
  }
}

}  // namespace

std::size_t size_of(cudaDataType type) {
  return type == CUDA_R_64F                         ? 8
         : type == CUDA_R_32F || type == CUDA_R_32I ? 4
         : type == CUDA_R_8I                        ? 1
                                                    : 2;
}

cublasStatus_t supported(cublasComputeType_t compute, cudaDataType a, cudaDataType b,
                         cudaDataType c) {
  const bool in_double = compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  const bool in_float = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC;
  if (a != b || (!in_double && !in_float)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (in_double)
    return a == CUDA_R_64F && c == CUDA_R_64F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
  if (a == CUDA_R_32F && c == CUDA_R_32F) return CUBLAS_STATUS_SUCCESS;
  if (a == CUDA_R_16BF && (c == CUDA_R_16BF || c == CUDA_R_32F)) return CUBLAS_STATUS_SUCCESS;
  if (a == CUDA_R_16F) say("float16 products are not emulated");
  return CUBLAS_STATUS_NOT_SUPPORTED;
}
double scalar(cublasComputeType_t compute, const void* value) {
  const bool in_double = compute == CUBLAS_COMPUTE_64F || compute == CUBLAS_COMPUTE_64F_PEDANTIC;
  return in_double ? *static_cast<const double*>(value)
                   : static_cast<double>(*static_cast<const float*>(value));
}

cublasStatus_t check_sizes(const Product& p) {
  const auto fits = [](std::int64_t ld, std::int64_t rows) {
    return ld >= std::max<std::int64_t>(rows, 1);
  };
  const bool good = p.m >= 0 && p.n >= 0 && p.k >= 0 && p.count >= 0 &&
                    fits(p.A.ld, rows_of(p.A, p.m, p.k)) && fits(p.B.ld, rows_of(p.B, p.k, p.n)) &&
                    fits(p.C.ld, p.m) && fits(p.ldd, p.m);
  return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

bool within(const void* data, std::int64_t rows, std::int64_t cols, std::int64_t ld,
            std::size_t size, const std::string& what) {
  if (rows == 0 || cols == 0) return true;
  const auto bytes = static_cast<std::size_t>((cols - 1) * ld + rows) * size;
  if (allocated(data, bytes)) return true;
  break_device(cudaErrorIllegalAddress, what + " [" + std::to_string(rows) + " x " +
                                            std::to_string(cols) + "], leading dimension " +
                                            std::to_string(ld) +
                                            ", does not lie within one allocation on the device");
  return false;
}

cublasStatus_t queue_product(cudaStream_t stream, const Product& p, const std::string& call) {
  if (device_state() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (!stream_exists(stream)) return CUBLAS_STATUS_INVALID_VALUE;
  if (p.m == 0 || p.n == 0 || p.count == 0) return CUBLAS_STATUS_SUCCESS;
  const auto side = [&](const Factor& f, std::int64_t rows, std::int64_t cols, const char* name) {
    const auto stored_rows = rows_of(f, rows, cols), stored_cols = rows_of(f, cols, rows);
    const auto* last = static_cast<const unsigned char*>(f.data) +
                       (p.count - 1) * f.stride * static_cast<std::int64_t>(size_of(f.type));
    return within(f.data, stored_rows, stored_cols, f.ld, size_of(f.type), call + ": " + name) &&
           within(last, stored_rows, stored_cols, f.ld, size_of(f.type), call + ": last " + name);
  };
  Factor D = p.C;
  D.data = p.D;
  D.ld = p.ldd;
  // With alpha = 0 or no terms the factors are not looked at, with beta = 0 C is not.
  const bool factors =
      p.alpha == 0 || p.k == 0 || (side(p.A, p.m, p.k, "A") && side(p.B, p.k, p.n, "B"));
  if (!factors || !side(D, p.m, p.n, "the result") || (p.beta != 0 && !side(p.C, p.m, p.n, "C")) ||
      (p.bias != nullptr && !within(p.bias, p.m, 1, p.m, size_of(p.C.type), call + ": the bias")))
    return CUBLAS_STATUS_SUCCESS;  // as hardware: known later
  submit(stream, [p] { multiply(p); });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace emulation
