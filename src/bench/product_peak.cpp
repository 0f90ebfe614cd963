// SPDX-License-Identifier: Apache-2.0
#include "bench/product_peak.hpp"

#include "bench/best_rate.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::bench {
namespace {

template <class T>
Matrix<T> filled(Index size, float value) {
  auto M = Matrix<T>::uninitialized(size, size);
  M.fill(T(value));
  return M;
}

}  // namespace

ProductPeak measured_peak(const device::Device& device) {
  using linalg::Transpose;
  if (device.name == "cuda") return measured_device_peak(device);
  constexpr Index size = 2048;
  auto C = filled<float>(size, 0);
  ProductPeak peak;
  {
    const auto A = filled<float>(size, 0.5f), B = filled<float>(size, 0.25f);
    peak.float32 = best_rate(size, [&] {
      linalg::gemm<float>(Transpose::no, Transpose::yes, 1.f, A.view(), B.view(), 0.f, C.view());
    });
  }
  const auto A = filled<bfloat16>(size, 0.5f), B = filled<bfloat16>(size, 0.25f);
  peak.bfloat16 = best_rate(size, [&] {
    linalg::gemm(Transpose::no, Transpose::yes, A.view(), B.view(), 0.f, C.view());
  });
  return peak;
}

}  // namespace constrictor::bench
