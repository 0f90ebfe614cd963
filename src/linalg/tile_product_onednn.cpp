// SPDX-License-Identifier: Apache-2.0
// Products through oneDNN, which generates code for the processor it finds; on processors that
// OpenBLAS does not know yet it is about twice as fast, and it knows bfloat16.
#include <oneapi/dnnl/dnnl.hpp>

#include "linalg/tile_product.hpp"

namespace constrictor::linalg {
namespace {

char letter(Transpose op) { return op == Transpose::yes ? 'T' : 'N'; }

dnnl::memory::dims strides(Transpose op, Index stride) {
  return op == Transpose::yes ? dnnl::memory::dims{1, stride} : dnnl::memory::dims{stride, 1};
}

[[noreturn]] void failed(const char* call, const std::string& words) {
  throw LibraryError(std::string("oneDNN: ") + call + ": " + words);
}

}  // namespace

void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const float> A,
                  View<const float> B, float beta, View<float> C) {
  const Index k = op_a == Transpose::yes ? A.rows : A.cols;
  const auto status = dnnl_sgemm(letter(op_a), letter(op_b), C.rows, C.cols, k, alpha, A.data,
                                 A.stride, B.data, B.stride, beta, C.data, C.stride);
  if (status != dnnl_success)
    failed("dnnl_sgemm", "status " + std::to_string(static_cast<int>(status)));
}

void tile_product(Transpose op_a, Transpose op_b, float alpha, View<const bfloat16> A,
                  View<const bfloat16> B, float beta, View<float> C) try {
  using dnnl::memory;
  CONSTRICTOR_REQUIRE(alpha == 1 && (beta == 0 || beta == 1), alpha, beta);
  static thread_local const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  static thread_local dnnl::stream stream(engine);
  const Index k = op_a == Transpose::yes ? A.rows : A.cols;
  constexpr auto bf16 = memory::data_type::bf16, f32 = memory::data_type::f32;
  const memory::desc a({C.rows, k}, bf16, strides(op_a, A.stride));
  const memory::desc b({k, C.cols}, bf16, strides(op_b, B.stride));
  const memory::desc c({C.rows, C.cols}, f32, memory::dims{C.stride, 1});
  dnnl::primitive_attr attributes;
  if (beta == 1) {
    dnnl::post_ops sum;
    sum.append_sum(1.f);
    attributes.set_post_ops(sum);
  }
#if DNNL_VERSION_MAJOR < 3
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine);
#else
  const dnnl::matmul::primitive_desc description(engine, a, b, c, attributes);
#endif
  const dnnl::matmul product(description);
  product.execute(stream, {{DNNL_ARG_SRC, memory(a, engine, const_cast<bfloat16*>(A.data))},
                           {DNNL_ARG_WEIGHTS, memory(b, engine, const_cast<bfloat16*>(B.data))},
                           {DNNL_ARG_DST, memory(c, engine, C.data)}});
  stream.wait();
} catch (const dnnl::error& error) {
  failed("matmul", error.what());
}

std::string product_library() {
  const auto* version = dnnl_version();
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch) + (has_native_bfloat16() ? " (bfloat16)" : "");
}

bool has_native_bfloat16() {
  const auto isa = dnnl_get_effective_cpu_isa();
  return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

}  // namespace constrictor::linalg
