// SPDX-License-Identifier: Apache-2.0
// OPT (Zhang et al., 2022), ReLU, biases everywhere. Norms before the sublayers (all sizes but
// 350M):
//   h <- h + W_o attention(W_q n, W_k n, W_v n),   n = layer_norm(h)
//   h <- h + W_fc2 relu(W_fc1 m),                  m = layer_norm(h)
// or after them, n = h, m = h and h <- layer_norm(h + ...) twice.
#include "kernels/norm.hpp"
#include "kernels/relu.hpp"
#include "model/attention.hpp"
#include "model/blocks.hpp"
#include "model/linear.hpp"

namespace constrictor::model {
namespace {

/// The input of a sublayer.
Matrix<float> before(const ModelSpec& spec, const Norm& norm, View<const float> hidden) {
  Matrix<float> result(hidden);
  if (spec.norm_before)
    kernels::layer_norm(hidden, norm.weight, norm.bias, spec.norm_eps, result.view());
  return result;
}

/// What follows a sublayer's residual sum.
void after(const ModelSpec& spec, const Norm& norm, View<float> hidden) {
  if (spec.norm_before) return;
  kernels::layer_norm(read_only(hidden), norm.weight, norm.bias, spec.norm_eps, hidden);
}

}  // namespace

BlockTrace opt_block(const Step& step, View<const float> hidden) {
  const auto& [spec, block, length, products, keep, until] = step;
  BlockTrace t;

  t.attention_input = before(spec, block.attention_norm, hidden);
  {
    const LinearInput x(t.attention_input.view(), products);
    t.query = x.times(block.layer(Role::query));
    t.key = x.times(block.layer(Role::key));
    t.value = x.times(block.layer(Role::value));
  }
  step.done_with(t.attention_input);

  if (until == Until::attention) return t;
  t.output_input = attention(spec, length, t.query.view(), t.key.view(), t.value.view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  if (until == Until::output) return t;
  t.output = Matrix<float>(hidden);
  LinearInput(t.output_input.view(), products)
      .add_times(block.layer(Role::output), t.output.view());
  step.done_with(t.output_input);
  after(spec, block.attention_norm, t.output.view());

  t.mlp_input = before(spec, block.mlp_norm, t.output.view());
  if (until == Until::mlp) return t;
  t.down_input = LinearInput(t.mlp_input.view(), products).times(block.layer(Role::up));
  step.done_with(t.mlp_input);
  kernels::relu(t.down_input.view());
  if (until == Until::down) return t;

  LinearInput(t.down_input.view(), products).add_times(block.layer(Role::down), t.output.view());
  step.done_with(t.down_input);
  after(spec, block.mlp_norm, t.output.view());
  return t;
}

}  // namespace constrictor::model
