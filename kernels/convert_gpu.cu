// SPDX-License-Identifier: Apache-2.0
#include "kernels/convert.hpp"
#include "kernels/elements.cuh"

namespace constrictor::kernels {
namespace {

template <class From, class To>
struct Convert {
  DeviceView<const From> from;
  DeviceView<To> to;
  __device__ void operator()(Index r, Index c) const { to(r, c) = static_cast<To>(from(r, c)); }
};

}  // namespace

template <class From, class To>
void convert(const device::Stream& stream, DeviceView<const From> from, DeviceView<To> to) {
  CONSTRICTOR_REQUIRE(from.rows == to.rows && from.cols == to.cols, from.rows, from.cols, to.rows,
                      to.cols);
  for_each_element("convert", stream, to.rows, to.cols, Convert<From, To>{from, to});
}

template void convert(const device::Stream&, DeviceView<const float>, DeviceView<bfloat16>);
template void convert(const device::Stream&, DeviceView<const bfloat16>, DeviceView<float>);
template void convert(const device::Stream&, DeviceView<const float>, DeviceView<double>);
template void convert(const device::Stream&, DeviceView<const double>, DeviceView<float>);

}  // namespace constrictor::kernels
