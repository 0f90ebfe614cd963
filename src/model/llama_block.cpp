// SPDX-License-Identifier: Apache-2.0
// Llama 1 to 3.2 (Touvron et al., 2023; Grattafiori et al., 2024):
//   h <- h + W_o attention(rope(W_q n), rope(W_k n), W_v n),   n = rms_norm(h)
//   h <- h + W_down (silu(W_gate m) ⊙ W_up m),                 m = rms_norm(h)
#include "kernels/gate.hpp"
#include "kernels/norm.hpp"
#include "model/attention.hpp"
#include "model/blocks.hpp"
#include "model/linear.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
namespace {

Matrix<float> normed(const ModelSpec& spec, const Norm& norm, View<const float> hidden) {
  auto result = Matrix<float>::uninitialized(hidden.rows, hidden.cols);
  kernels::rms_norm(hidden, norm.weight, spec.norm_eps, result.view());
  return result;
}

}  // namespace

BlockTrace llama_block(const Step& step, View<const float> hidden) {
  const auto& [spec, block, length, products, keep, until] = step;
  BlockTrace t;

  t.attention_input = normed(spec, block.attention_norm, hidden);
  {
    const LinearInput x(t.attention_input.view(), products);
    t.query = x.times(block.layer(Role::query));
    t.key = x.times(block.layer(Role::key));
    t.value = x.times(block.layer(Role::value));
  }
  step.done_with(t.attention_input);

  const kernels::RopeTable table = rope_table(spec, length);
  kernels::rope(t.query.view(), table);
  kernels::rope(t.key.view(), table);
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

  t.mlp_input = normed(spec, block.mlp_norm, t.output.view());
  if (until == Until::mlp) return t;
  {
    const LinearInput x(t.mlp_input.view(), products);
    const Matrix<float> gate = x.times(block.layer(Role::gate));
    t.down_input = x.times(block.layer(Role::up));
    kernels::gate(gate.view(), t.down_input.view());
  }
  step.done_with(t.mlp_input);
  if (until == Until::down) return t;

  LinearInput(t.down_input.view(), products).add_times(block.layer(Role::down), t.output.view());
  step.done_with(t.down_input);
  return t;
}

}  // namespace constrictor::model
