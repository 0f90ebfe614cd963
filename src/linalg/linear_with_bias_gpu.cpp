// SPDX-License-Identifier: Apache-2.0
// linear_with_bias of linalg/gemm_gpu.hpp, by way of cuBLASLt.
#include <cublasLt.h>

#include <algorithm>

#include "core/handle.hpp"
#include "kernels/convert.hpp"
#include "linalg/cublas_gpu.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::linalg {
namespace {

struct ProductApi {
  using Raw = cublasLtMatmulDesc_t;
  static Raw empty() { return nullptr; }
  static void destroy(Raw raw) noexcept { cublasLtMatmulDescDestroy(raw); }
};
struct LayoutApi {
  using Raw = cublasLtMatrixLayout_t;
  static Raw empty() { return nullptr; }
  static void destroy(Raw raw) noexcept { cublasLtMatrixLayoutDestroy(raw); }
};
struct PreferenceApi {
  using Raw = cublasLtMatmulPreference_t;
  static Raw empty() { return nullptr; }
  static void destroy(Raw raw) noexcept { cublasLtMatmulPreferenceDestroy(raw); }
};

/// What the library sees of a row-major matrix: its transpose.
template <class T>
Handle<LayoutApi> transposed_layout(DeviceView<T> view) {
  cublasLtMatrixLayout_t layout = nullptr;
  CONSTRICTOR_CUBLAS(cublasLtMatrixLayoutCreate(
      &layout, cuda_type<std::remove_const_t<T>>(), static_cast<std::uint64_t>(view.cols),
      static_cast<std::uint64_t>(view.rows), leading(view)));
  return Handle<LayoutApi>(layout);
}

template <class Value>
void set(const Handle<ProductApi>& product, cublasLtMatmulDescAttributes_t what,
         const Value& value) {
  CONSTRICTOR_CUBLAS(cublasLtMatmulDescSetAttribute(product.get(), what, &value, sizeof value));
}
template <class Value>
void set(const Handle<PreferenceApi>& preference, cublasLtMatmulPreferenceAttributes_t what,
         const Value& value) {
  CONSTRICTOR_CUBLAS(
      cublasLtMatmulPreferenceSetAttribute(preference.get(), what, &value, sizeof value));
}

/// The largest power of two, 256 at most, that divides an address.
std::uint32_t alignment(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer) | 256u;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

/// Y <- activation(X W' + b) with b in the type of Y, as the epilogue wants it.
template <class In, class Out>
void fused(const device::Context& gpu, DeviceView<const In> X, DeviceView<const In> W, const Out* b,
           Activation activation, DeviceView<Out> Y) {
  cublasLtMatmulDesc_t raw_product = nullptr;
  CONSTRICTOR_CUBLAS(cublasLtMatmulDescCreate(&raw_product, compute_type<In>, CUDA_R_32F));
  const Handle<ProductApi> product(raw_product);
  set(product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);  // Y' = (W')' X'
  set(product, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  set(product, CUBLASLT_MATMUL_DESC_EPILOGUE,
      activation == Activation::relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
  set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(b));
  const auto w = transposed_layout(W), x = transposed_layout(X), y = transposed_layout(Y);

  cublasLtMatmulPreference_t raw_preference = nullptr;
  CONSTRICTOR_CUBLAS(cublasLtMatmulPreferenceCreate(&raw_preference));
  const Handle<PreferenceApi> preference(raw_preference);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, gpu.workspace_bytes());
  // Parts of a sum over k may only be joined in float32 and in a fixed order.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(W.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(X.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(Y.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(Y.data));

  cublasLtMatmulHeuristicResult_t best{};
  int found = 0;
  CONSTRICTOR_CUBLAS(cublasLtMatmulAlgoGetHeuristic(gpu.blas_lt(), product.get(), w.get(), x.get(),
                                                    y.get(), y.get(), preference.get(), 1, &best,
                                                    &found));
  CONSTRICTOR_REQUIRE(found == 1, X.rows, X.cols, W.rows);
  const float one = 1, zero = 0;
  CONSTRICTOR_CUBLAS(cublasLtMatmul(gpu.blas_lt(), product.get(), &one, W.data, w.get(), X.data,
                                    x.get(), &zero, Y.data, y.get(), Y.data, y.get(), &best.algo,
                                    gpu.workspace(gpu.main()), gpu.workspace_bytes(),
                                    gpu.main().raw()));
}

}  // namespace

template <class In, class Out>
void linear_with_bias(const device::Context& gpu, DeviceView<const In> X, DeviceView<const In> W,
                      DeviceView<const float> b, Activation activation, DeviceView<Out> Y) {
  const auto shape = product_shape(Transpose::no, Transpose::yes, X, W, Y);
  CONSTRICTOR_REQUIRE(b.rows == 1 && b.cols == W.rows, b.rows, b.cols, W.rows);
  CONSTRICTOR_REQUIRE(shape.k > 0, shape.m, shape.n, shape.k);
  if (shape.m == 0 || shape.n == 0) return;
  if constexpr (std::is_same_v<Out, float>) {
    fused<In, float>(gpu, X, W, b.data, activation, Y);
  } else {
    device::DeviceMatrix<Out> narrow(gpu, 1, b.cols, "a layer's bias");
    kernels::convert(gpu.main(), b, narrow.view());
    fused<In, Out>(gpu, X, W, narrow.data(), activation, Y);
  }
}

template void linear_with_bias(const device::Context&, DeviceView<const float>,
                               DeviceView<const float>, DeviceView<const float>, Activation,
                               DeviceView<float>);
template void linear_with_bias(const device::Context&, DeviceView<const bfloat16>,
                               DeviceView<const bfloat16>, DeviceView<const float>, Activation,
                               DeviceView<float>);
template void linear_with_bias(const device::Context&, DeviceView<const bfloat16>,
                               DeviceView<const bfloat16>, DeviceView<const float>, Activation,
                               DeviceView<bfloat16>);

}  // namespace constrictor::linalg
