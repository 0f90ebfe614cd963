// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of model/*_gpu.cpp: linear layers on all tokens of a chunk, one product each.
#include <type_traits>

#include "data/device_block.hpp"
#include "kernels/add_bias.hpp"
#include "kernels/convert.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::model {

/// activation(x W' + b) as Out: float32 where float32 arithmetic follows, E where a product does.
///   x  [tokens x in]    result  [tokens x out]
template <class Out, class E>
device::DeviceMatrix<Out> linear(const device::Context& gpu, const DeviceLayer<E>& layer,
                                 const device::DeviceMatrix<E>& x, const char* what,
                                 linalg::Activation activation = linalg::Activation::none) {
  device::DeviceMatrix<Out> y(gpu, x.rows(), layer.weight.rows(), what);
  if (layer.bias.empty()) {
    CONSTRICTOR_REQUIRE(activation == linalg::Activation::none);
    linalg::gemm<E, Out>(gpu, linalg::Transpose::no, linalg::Transpose::yes, 1.0, x.view(),
                         layer.weight.view(), 0.0, y.view());
  } else {
    linalg::linear_with_bias<E, Out>(gpu, x.view(), layer.weight.view(), layer.bias.view(),
                                     activation, y.view());
  }
  return y;
}

/// y <- y + x W' + b, the residual stream y [tokens x out] in float32.
template <class E>
void add_linear(const device::Context& gpu, const DeviceLayer<E>& layer,
                const device::DeviceMatrix<E>& x, DeviceView<float> y) {
  linalg::gemm<E, float>(gpu, linalg::Transpose::no, linalg::Transpose::yes, 1.0, x.view(),
                         layer.weight.view(), 1.0, y);
  if (!layer.bias.empty()) kernels::add_bias(gpu.main(), layer.bias.view(), y);
}

/// x as factor of products in E.
template <class E>
device::DeviceMatrix<E> as_factor(const device::Context& gpu, DeviceView<const float> x,
                                  const char* what) {
  if constexpr (std::is_same_v<E, float>) {
    return device::copied(gpu, x, what);
  } else {
    device::DeviceMatrix<E> y(gpu, x.rows, x.cols, what);
    kernels::convert(gpu.main(), x, y.view());
    return y;
  }
}

}  // namespace constrictor::model
