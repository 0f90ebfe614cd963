// SPDX-License-Identifier: Apache-2.0
#include "kernels/elements.cuh"
#include "kernels/soft_cap.hpp"

namespace constrictor::kernels {
namespace {

struct SoftCap {
  DeviceView<float> X;
  float cap;
  __device__ void operator()(Index r, Index c) const { X(r, c) = cap * tanhf(X(r, c) / cap); }
};

}  // namespace

void soft_cap(const device::Stream& stream, DeviceView<float> X, float cap) {
  CONSTRICTOR_REQUIRE(cap > 0, cap);
  for_each_element("soft_cap", stream, X.rows, X.cols, SoftCap{X, cap});
}

}  // namespace constrictor::kernels
