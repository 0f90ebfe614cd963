// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "kernels/arithmetic.hpp"
#include "kernels/elements.cuh"

namespace constrictor::kernels {
namespace {

template <class T>
struct Scale {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Wide factor;
  DeviceView<T> X;
  __device__ void operator()(Index r, Index c) const {
    X(r, c) = static_cast<T>(factor * static_cast<Wide>(X(r, c)));
  }
};

struct Add {
  DeviceView<const float> Y;
  DeviceView<float> X;
  __device__ void operator()(Index r, Index c) const { X(r, c) += Y(r, c); }
};

struct ClearColumns {
  const Index* columns;
  DeviceView<float> X;
  __device__ void operator()(Index r, Index i) const { X(r, columns[i]) = 0; }
};

}  // namespace

template <class T>
void scale(const device::Stream& stream, double factor, DeviceView<T> X) {
  for_each_element("scale", stream, X.rows, X.cols,
                   Scale<T>{static_cast<typename Scale<T>::Wide>(factor), X});
}
template void scale(const device::Stream&, double, DeviceView<float>);
template void scale(const device::Stream&, double, DeviceView<double>);
template void scale(const device::Stream&, double, DeviceView<bfloat16>);

void add(const device::Stream& stream, DeviceView<const float> Y, DeviceView<float> X) {
  CONSTRICTOR_REQUIRE(X.rows == Y.rows && X.cols == Y.cols, X.rows, X.cols, Y.rows, Y.cols);
  for_each_element("add", stream, X.rows, X.cols, Add{Y, X});
}

void clear_columns(const device::Stream& stream, DeviceView<const Index> columns,
                   DeviceView<float> X) {
  for_each_element("clear_columns", stream, X.rows, columns.size(), ClearColumns{columns.data, X});
}

}  // namespace constrictor::kernels
