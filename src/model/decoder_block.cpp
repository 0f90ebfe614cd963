// SPDX-License-Identifier: Apache-2.0
// One block of a decoder, by the features of its ModelSpec. Norms before the sublayers:
//   h <- h + W_o attention(rope(W_q n), rope(W_k n), W_v n),   n = norm(h)
//   h <- h + W_down mlp(m),                                    m = norm(h)
// or after them, n = h, m = h and h <- norm(h + ...) twice; with
//   mlp(m) = act(W_gate m) ⊙ W_up m   or   act(W_up m),   or a mixture of experts (experts.hpp).
#include "model/decoder_block.hpp"

#include "kernels/gate.hpp"
#include "kernels/norm.hpp"
#include "kernels/relu.hpp"
#include "model/attention.hpp"
#include "model/experts.hpp"
#include "model/linear.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
namespace {

void normalize(const ModelSpec& spec, const Norm& norm, View<const float> x, View<float> y) {
  if (spec.norm_style == NormStyle::rms)
    kernels::rms_norm(x, norm.weight, spec.norm_eps, y);
  else
    kernels::layer_norm(x, norm.weight, norm.bias, spec.norm_eps, y);
}

/// The input of a sublayer.
Matrix<float> before(const ModelSpec& spec, const Norm& norm, View<const float> hidden) {
  if (!spec.norm_before) return Matrix<float>(hidden);
  auto result = Matrix<float>::uninitialized(hidden.rows, hidden.cols);
  normalize(spec, norm, hidden, result.view());
  return result;
}

/// What follows a sublayer's residual sum.
void after(const ModelSpec& spec, const Norm& norm, View<float> hidden) {
  if (!spec.norm_before) normalize(spec, norm, read_only(hidden), hidden);
}

/// t.query, t.key, t.value from t.attention_input.
void project(const Step& step, BlockTrace& t) {
  const LinearInput x(t.attention_input.view(), step.products);
  t.query = x.times(step.block.layer(Role::query));
  t.key = x.times(step.block.layer(Role::key));
  t.value = x.times(step.block.layer(Role::value));
}

/// t.down_input from t.mlp_input.
void widen(const Step& step, BlockTrace& t) {
  const LinearInput x(t.mlp_input.view(), step.products);
  if (step.spec.gated) {
    const Matrix<float> gate = x.times(step.block.layer(Role::gate));
    t.down_input = x.times(step.block.layer(Role::up));
    kernels::gate(gate.view(), t.down_input.view());
  } else {
    t.down_input = x.times(step.block.layer(Role::up));
    kernels::relu(t.down_input.view());
  }
}

}  // namespace

BlockTrace decoder_block(const Step& step, View<const float> hidden) {
  const auto& [spec, block, length, products, keep, tokens_as] = step;
  CONSTRICTOR_REQUIRE(spec.activation == (spec.gated ? Activation::silu : Activation::relu));
  BlockTrace t;

  t.attention_input = before(spec, block.attention_norm, hidden);
  project(step, t);
  step.done_with(t.attention_input);

  if (spec.rotary) {
    const kernels::RopeTable table = rope_table(spec, length);
    kernels::rope(t.query.view(), table);
    kernels::rope(t.key.view(), table);
  }
  t.output_input = attention(spec, length, t.query.view(), t.key.view(), t.value.view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  t.output = Matrix<float>(hidden);
  LinearInput(t.output_input.view(), products)
      .add_times(block.layer(Role::output), t.output.view());
  step.done_with(t.output_input);
  after(spec, block.attention_norm, t.output.view());

  t.mlp_input = before(spec, block.mlp_norm, t.output.view());
  if (spec.experts > 0) {
    add_experts(step, t);
    step.done_with(t.mlp_input);
  } else {
    widen(step, t);
    step.done_with(t.mlp_input);
    LinearInput(t.down_input.view(), products).add_times(block.layer(Role::down), t.output.view());
    step.done_with(t.down_input);
  }
  after(spec, block.mlp_norm, t.output.view());
  return t;
}

}  // namespace constrictor::model
