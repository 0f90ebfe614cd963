// SPDX-License-Identifier: Apache-2.0
// One block of a decoder, by the features of its ModelSpec. Norms before the sublayers:
//   h <- h + W_o attention(rope(W_q n), rope(W_k n), W_v n),   n = norm(h)
//   h <- h + W_down mlp(m),                                    m = norm(h)
// or behind the residual sums, n = h, m = h and h <- norm(h + ...) twice; with
//   mlp(m) = act(W_gate m) ⊙ W_up m   or   act(W_up m),   or a mixture of experts (experts.hpp).
// Gemma: h <- h + norm(W_o ...), h <- h + norm(W_down ...) too. Qwen3, Gemma-3: queries and keys
// are normed inside their heads before they are rotated.
#include "model/decoder_block.hpp"

#include "core/parallel.hpp"
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

/// RMS norm of every head by itself.
void normalize_heads(const ModelSpec& spec, const Norm& norm, Matrix<float>& x) {
  const Index heads = x.size() / spec.head_dim;
  const View<float> rows{x.data(), heads, spec.head_dim, spec.head_dim};
  kernels::rms_norm(read_only(rows), norm.weight, spec.norm_eps, rows);
}

/// h <- h + W x, or h + norm(W x) where the sublayer has a norm of its own behind it.
void add_sublayer(const Step& step, Role role, const Norm& post_norm, Matrix<float>& x,
                  Matrix<float>& hidden) {
  const LinearInput input(x.view(), step.products);
  if (!step.spec.norm_after) return input.add_times(step.block.layer(role), hidden.view());
  Matrix<float> y = input.times(step.block.layer(role));
  normalize(step.spec, post_norm, read_only(y.view()), y.view());
  parallel_for(y.rows(), [&](Index r) {
    float* h = hidden.row(r);
    const float* add = y.row(r);
#pragma omp simd
    for (Index c = 0; c < y.cols(); ++c) h[c] += add[c];
  });
}

/// t.query, t.key, t.value from t.attention_input.
void project(const Step& step, BlockTrace& t) {
  const LinearInput x(t.attention_input.view(), step.products);
  t.query = x.times(step.block.layer(Role::query));
  t.key = x.times(step.block.layer(Role::key));
  t.value = x.times(step.block.layer(Role::value));
}

/// Norm inside the heads and rotation, where the model has them.
void place_heads(const Step& step, BlockTrace& t) {
  const ModelSpec& spec = step.spec;
  const Block& block = step.block;
  if (spec.qk_norm) {
    if (step.keep == Keep::layer_inputs)
      t.head_norm = {t.query,
                     t.key,
                     block.query_norm.weight,
                     block.key_norm.weight,
                     rope_frequencies(spec, block.index),
                     spec.norm_eps};
    normalize_heads(spec, block.query_norm, t.query);
    normalize_heads(spec, block.key_norm, t.key);
  }
  if (!spec.rotary) return;
  const kernels::RopeTable table = step.past != nullptr
                                       ? step.past->rope(step.length)
                                       : rope_table(spec, block.index, step.length);
  kernels::rope(t.query.view(), table);
  kernels::rope(t.key.view(), table);
}

/// t.down_input from t.mlp_input.
void widen(const Step& step, BlockTrace& t) {
  const LinearInput x(t.mlp_input.view(), step.products);
  if (step.spec.gated) {
    const Matrix<float> gate = x.times(step.block.layer(Role::gate));
    t.down_input = x.times(step.block.layer(Role::up));
    if (step.spec.activation == Activation::silu)
      kernels::gate(gate.view(), t.down_input.view());
    else
      kernels::gelu_gate(gate.view(), t.down_input.view());
  } else {
    t.down_input = x.times(step.block.layer(Role::up));
    kernels::relu(t.down_input.view());
  }
}

}  // namespace

BlockTrace decoder_block(const Step& step, View<const float> hidden) {
  const auto& [spec, block, length, products, keep, until, past, tokens_as] = step;
  CONSTRICTOR_REQUIRE(spec.gated == (spec.activation != Activation::relu));
  BlockTrace t;

  t.attention_input = before(spec, block.attention_norm, hidden);
  project(step, t);
  step.done_with(t.attention_input);

  place_heads(step, t);
  t.attention = attention_form(spec, block.index);
  if (until == Until::attention) return t;
  t.output_input =
      past != nullptr
          ? past->attention(spec, t.attention, t.query.view(), t.key.view(), t.value.view())
          : attention(spec, t.attention, length, t.query.view(), t.key.view(), t.value.view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  if (until == Until::output) return t;
  t.output = Matrix<float>(hidden);
  add_sublayer(step, Role::output, block.attention_post_norm, t.output_input, t.output);
  step.done_with(t.output_input);
  after(spec, block.attention_norm, t.output.view());

  t.mlp_input = before(spec, block.mlp_norm, t.output.view());
  if (until == Until::mlp && spec.experts == 0) return t;
  if (spec.experts > 0) {
    add_experts(step, t);
    if (until == Until::mlp) return t;
    step.done_with(t.mlp_input);
  } else {
    widen(step, t);
    step.done_with(t.mlp_input);
    add_sublayer(step, Role::down, block.mlp_post_norm, t.down_input, t.output);
    step.done_with(t.down_input);
  }
  after(spec, block.mlp_norm, t.output.view());
  return t;
}

}  // namespace constrictor::model
