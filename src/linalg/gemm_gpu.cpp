// SPDX-License-Identifier: Apache-2.0
#include "linalg/gemm_gpu.hpp"

#include <algorithm>

#include "kernels/arithmetic.hpp"
#include "linalg/cublas_gpu.hpp"

namespace constrictor::linalg {
namespace {

/// C <- beta C: what is left of a product without terms.
template <class Out>
void scale_only(const device::Stream& stream, double beta, DeviceView<Out> C) {
  if (beta == 0) return device::set_zero(C, stream);
  if (beta != 1) kernels::scale(stream, beta, C);
}

}  // namespace

template <class In, class Out>
void gemm(const device::Context& gpu, const device::Stream& stream, Transpose op_a, Transpose op_b,
          double alpha, DeviceView<const In> A, DeviceView<const In> B, double beta,
          DeviceView<Out> C) {
  const auto [m, n, k] = product_shape(op_a, op_b, A, B, C);
  if (m == 0 || n == 0) return;
  if (k == 0) return scale_only(stream, beta, C);
  const auto a = static_cast<Scalar<In>>(alpha), b = static_cast<Scalar<In>>(beta);
  CONSTRICTOR_CUBLAS(
      cublasGemmEx_64(gpu.blas(stream), cublas_operation(op_b), cublas_operation(op_a), n, m, k, &a,
                      B.data, cuda_type<In>(), leading(B), A.data, cuda_type<In>(), leading(A), &b,
                      C.data, cuda_type<Out>(), leading(C), compute_type<In>, CUBLAS_GEMM_DEFAULT));
}

template <class In, class Out>
void gemm_batched(const device::Context& gpu, Transpose op_a, Transpose op_b, double alpha,
                  DeviceView<const In> A, DeviceView<const In> B, double beta, DeviceView<Out> C,
                  const Batch& batch) {
  const auto [m, n, k] = product_shape(op_a, op_b, A, B, C);
  if (m == 0 || n == 0 || batch.count == 0) return;
  if (k == 0) {
    for (Index i = 0; i < batch.count; ++i)
      scale_only(gpu.main(), beta,
                 DeviceView<Out>(C.data + i * batch.stride_c, C.rows, C.cols, C.stride));
    return;
  }
  const auto a = static_cast<Scalar<In>>(alpha), b = static_cast<Scalar<In>>(beta);
  CONSTRICTOR_CUBLAS(cublasGemmStridedBatchedEx_64(
      gpu.blas(gpu.main()), cublas_operation(op_b), cublas_operation(op_a), n, m, k, &a, B.data,
      cuda_type<In>(), leading(B), batch.stride_b, A.data, cuda_type<In>(), leading(A),
      batch.stride_a, &b, C.data, cuda_type<Out>(), leading(C), batch.stride_c, batch.count,
      compute_type<In>, CUBLAS_GEMM_DEFAULT));
}

template <class T>
void add_cross_upper(const device::Context& gpu, DeviceView<const T> X, DeviceView<const T> Y,
                     DeviceView<float> S, float beta) {
  CONSTRICTOR_REQUIRE(X.cols == Y.cols && S.rows == X.cols && S.cols == X.cols, X.cols, Y.cols,
                      S.rows, S.cols);
  const Index n = X.cols, width = triangle_panel(n);
  for (Index first = 0; first < n; first += width) {
    const Index size = std::min(width, n - first), last = first + size;
    gemm<T, float>(gpu, Transpose::yes, Transpose::no, 1, X.cols_from(0, last),
                   Y.cols_from(first, size), beta, S.block(0, first, last, size));
  }
}

template <class T>
void add_gram(const device::Context& gpu, DeviceView<const T> X, DeviceView<float> S, float beta) {
  add_cross_upper<T>(gpu, X, X, S, beta);
}

template <class T>
void add_cross(const device::Context& gpu, DeviceView<const T> X, DeviceView<const T> Y,
               DeviceView<float> S, float beta) {
  gemm<T, float>(gpu, Transpose::yes, Transpose::no, 1, X, Y, beta, S);
}

#define CONSTRICTOR_PRODUCTS(In, Out)                                                              \
  template void gemm<In, Out>(const device::Context&, const device::Stream&, Transpose, Transpose, \
                              double, DeviceView<const In>, DeviceView<const In>, double,          \
                              DeviceView<Out>);                                                    \
  template void gemm_batched<In, Out>(const device::Context&, Transpose, Transpose, double,        \
                                      DeviceView<const In>, DeviceView<const In>, double,          \
                                      DeviceView<Out>, const Batch&)
CONSTRICTOR_PRODUCTS(float, float);
CONSTRICTOR_PRODUCTS(bfloat16, float);
CONSTRICTOR_PRODUCTS(bfloat16, bfloat16);
CONSTRICTOR_PRODUCTS(double, double);
#undef CONSTRICTOR_PRODUCTS

#define CONSTRICTOR_SUMS(T)                                                                    \
  template void add_gram<T>(const device::Context&, DeviceView<const T>, DeviceView<float>,    \
                            float);                                                            \
  template void add_cross_upper<T>(const device::Context&, DeviceView<const T>,                \
                                   DeviceView<const T>, DeviceView<float>, float);             \
  template void add_cross<T>(const device::Context&, DeviceView<const T>, DeviceView<const T>, \
                             DeviceView<float>, float)
CONSTRICTOR_SUMS(float);
CONSTRICTOR_SUMS(bfloat16);
#undef CONSTRICTOR_SUMS

}  // namespace constrictor::linalg
