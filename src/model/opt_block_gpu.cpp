// SPDX-License-Identifier: Apache-2.0
// model/opt_block.cpp on the device: biases and ReLU ride on the products.
#include "kernels/norm.hpp"
#include "model/attention_gpu.hpp"
#include "model/blocks_gpu.hpp"
#include "model/linear_gpu.hpp"

namespace constrictor::model {
namespace {

/// The input of a sublayer, as factor of products.
template <class E>
device::DeviceMatrix<E> before(const DeviceStep<E>& step, const DeviceNorm& norm,
                               DeviceView<const float> hidden) {
  if (!step.spec.norm_before) return as_factor<E>(step.gpu, hidden, "input of a sublayer");
  device::DeviceMatrix<E> result(step.gpu, hidden.rows, hidden.cols, "normed hidden states");
  kernels::layer_norm<E>(step.gpu.main(), hidden, norm.weight.view(), norm.bias.view(),
                         step.spec.norm_eps, result.view());
  return result;
}

/// What follows a sublayer's residual sum.
template <class E>
void after(const DeviceStep<E>& step, const DeviceNorm& norm, DeviceView<float> hidden) {
  if (step.spec.norm_before) return;
  kernels::layer_norm<float>(step.gpu.main(), hidden, norm.weight.view(), norm.bias.view(),
                             step.spec.norm_eps, hidden);
}

}  // namespace

template <class E>
DeviceTrace<E> opt_block(const DeviceStep<E>& step, DeviceView<const float> hidden) {
  const auto& [gpu, spec, block, length, keep, until] = step;
  DeviceTrace<E> t;

  t.attention_input = before(step, block.attention_norm, hidden);
  t.query = linear<E>(gpu, block.layer(Role::query), t.attention_input, "queries");
  t.key = linear<E>(gpu, block.layer(Role::key), t.attention_input, "keys");
  t.value = linear<E>(gpu, block.layer(Role::value), t.attention_input, "values");
  step.done_with(t.attention_input);

  if (until == Until::attention) return t;
  t.output_input = attention<E>(gpu, spec, length, std::as_const(t.query).view(),
                                std::as_const(t.key).view(), std::as_const(t.value).view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  if (until == Until::output) return t;
  t.output = device::copied(gpu, hidden, "hidden states");
  add_linear(gpu, block.layer(Role::output), t.output_input, t.output.view());
  step.done_with(t.output_input);
  after(step, block.attention_norm, t.output.view());

  t.mlp_input = before(step, block.mlp_norm, t.output.view());
  if (until == Until::mlp) return t;
  t.down_input = linear<E>(gpu, block.layer(Role::up), t.mlp_input, "input of the last MLP layer",
                           linalg::Activation::relu);
  step.done_with(t.mlp_input);
  if (until == Until::down) return t;

  add_linear(gpu, block.layer(Role::down), t.down_input, t.output.view());
  step.done_with(t.down_input);
  after(step, block.mlp_norm, t.output.view());
  return t;
}

template DeviceTrace<float> opt_block(const DeviceStep<float>&, DeviceView<const float>);
template DeviceTrace<bfloat16> opt_block(const DeviceStep<bfloat16>&, DeviceView<const float>);

}  // namespace constrictor::model
