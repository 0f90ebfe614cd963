// SPDX-License-Identifier: Apache-2.0
#include "device/context.hpp"
#include "linalg/gemm_gpu.hpp"
#include "pipeline/best_rate.hpp"
#include "pipeline/product_peak.hpp"

namespace constrictor::pipeline {
namespace {

template <class In, class Out>
double rate(const device::Context& gpu, Index size) {
  const char* what = "a product for comparison";
  device::DeviceMatrix<In> A(gpu, size, size, what), B(gpu, size, size, what);
  device::DeviceMatrix<Out> C(gpu, size, size, what);
  // Random numbers: a device clocks higher on zeros, and weights are none.
  auto numbers = Matrix<In>::uninitialized(size, size);
  std::uint32_t state = 1;
  for (In& number : numbers.values()) {
    state = state * 1664525u + 1013904223u;
    number = In(static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.f);
  }
  device::upload<In>(numbers.view(), A.view(), gpu.main());
  device::upload<In>(numbers.view(), B.view(), gpu.main());
  gpu.main().synchronize();
  return best_rate(size, [&] {
    linalg::gemm<In, Out>(gpu, linalg::Transpose::no, linalg::Transpose::yes, 1, A.view(), B.view(),
                          0, C.view());
    gpu.main().synchronize();
  });
}

}  // namespace

ProductPeak measured_device_peak(const device::Device& device, Index size) {
  const device::Context gpu(device.number);
  return {rate<float, float>(gpu, size), rate<bfloat16, bfloat16>(gpu, size)};
}

}  // namespace constrictor::pipeline
