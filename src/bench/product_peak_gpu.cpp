// SPDX-License-Identifier: Apache-2.0
#include "bench/best_rate.hpp"
#include "bench/product_peak.hpp"
#include "device/context.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::bench {
namespace {

/// Of one size, the best of some products.
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

/// Of a size that fills the device: a product that takes a millisecond.
template <class In, class Out>
double rate_of_large_products(const device::Context& gpu) {
  for (Index size = 512;; size *= 2) {
    const double found = rate<In, Out>(gpu, size);
    const auto n = static_cast<double>(size);
    if (size == 8192 || 2 * n * n * n / found > 1e-3) return found;
  }
}

}  // namespace

ProductPeak measured_device_peak(const device::Device& device) {
  const device::Context gpu(device.number);
  return {rate_of_large_products<float, float>(gpu),
          rate_of_large_products<bfloat16, bfloat16>(gpu)};
}

}  // namespace constrictor::bench
