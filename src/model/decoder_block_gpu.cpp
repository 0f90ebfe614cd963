// SPDX-License-Identifier: Apache-2.0
// model/decoder_block.cpp on the device. Whatever leaves a kernel as factor of a product is rounded
// to E there; what stays float32 (queries and keys before their rotation, gate and up) never is.
#include "model/decoder_block_gpu.hpp"

#include "kernels/arithmetic.hpp"
#include "kernels/gate.hpp"
#include "kernels/norm.hpp"
#include "kernels/rope.hpp"
#include "model/attention.hpp"
#include "model/attention_gpu.hpp"
#include "model/linear_gpu.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
namespace {

using device::DeviceMatrix;

template <class Out, class E>
void normalize(const DeviceStep<E>& step, const DeviceNorm& norm, DeviceView<const float> x,
               DeviceView<Out> y) {
  const double eps = step.spec.norm_eps;
  if (step.spec.norm_style == NormStyle::rms)
    kernels::rms_norm<Out>(step.gpu.main(), x, norm.weight.view(), eps, y);
  else
    kernels::layer_norm<Out>(step.gpu.main(), x, norm.weight.view(), norm.bias.view(), eps, y);
}

/// The input of a sublayer, as factor of products.
template <class E>
DeviceMatrix<E> before(const DeviceStep<E>& step, const DeviceNorm& norm,
                       DeviceView<const float> hidden) {
  if (!step.spec.norm_before) return as_factor<E>(step.gpu, hidden, "input of a sublayer");
  DeviceMatrix<E> result(step.gpu, hidden.rows, hidden.cols, "normed hidden states");
  normalize<E>(step, norm, hidden, result.view());
  return result;
}

/// What follows a sublayer's residual sum.
template <class E>
void after(const DeviceStep<E>& step, const DeviceNorm& norm, DeviceView<float> hidden) {
  if (!step.spec.norm_before) normalize<float>(step, norm, read_only(hidden), hidden);
}

class Rotation {
 public:
  template <class E>
  explicit Rotation(const DeviceStep<E>& step)
      : gpu_(step.gpu),
        cos_(gpu_, step.length, step.spec.head_dim / 2, "rotations"),
        sin_(gpu_, step.length, step.spec.head_dim / 2, "rotations") {
    const auto frequencies = device::uploaded(gpu_, rope_frequencies(step.spec, step.block.index),
                                              "frequencies of rotations");
    kernels::rope_table(gpu_.main(), frequencies.view(), cos_.view(), sin_.view());
  }

  template <class E>
  DeviceMatrix<E> of(const DeviceMatrix<float>& x, const char* what) const {
    DeviceMatrix<E> rotated(gpu_, x.rows(), x.cols(), what);
    const kernels::DeviceRopeTable table{std::as_const(cos_).view(), std::as_const(sin_).view()};
    kernels::rope<E>(gpu_.main(), x.view(), table, rotated.view());
    return rotated;
  }

 private:
  const device::Context& gpu_;
  DeviceMatrix<float> cos_, sin_;
};

/// RMS norm of every head by itself, in place.
template <class E>
void normalize_heads(const DeviceStep<E>& step, const DeviceNorm& norm, DeviceMatrix<float>& x) {
  const Index d = step.spec.head_dim;
  const DeviceView<float> rows(x.data(), x.size() / d, d, d);
  kernels::rms_norm<float>(step.gpu.main(), read_only(rows), norm.weight.view(), step.spec.norm_eps,
                           rows);
}

/// h <- h + W x, or h + norm(W x) where the sublayer has a norm of its own behind it.
template <class E>
void add_sublayer(const DeviceStep<E>& step, Role role, const DeviceNorm& post_norm,
                  const DeviceMatrix<E>& x, DeviceView<float> hidden) {
  const auto& layer = step.block.layer(role);
  if (!step.spec.norm_after) return add_linear(step.gpu, layer, x, hidden);
  auto y = linear<float>(step.gpu, layer, x, "a sublayer's output");
  normalize<float>(step, post_norm, std::as_const(y).view(), y.view());
  kernels::add(step.gpu.main(), std::as_const(y).view(), hidden);
}

/// Norm inside the heads; what they were before stays for the statistics.
template <class E>
void normalize_queries_and_keys(const DeviceStep<E>& step, DeviceMatrix<float>& query,
                                DeviceMatrix<float>& key, DeviceTrace<E>& t) {
  const auto& block = step.block;
  if (step.keep == Keep::layer_inputs) {
    t.head_norm.query = device::copied(step.gpu, std::as_const(query).view(), "queries");
    t.head_norm.key = device::copied(step.gpu, std::as_const(key).view(), "keys");
    t.head_norm.query_norm = &block.query_norm;
    t.head_norm.key_norm = &block.key_norm;
    t.head_norm.frequencies = rope_frequencies(step.spec, block.index);
    t.head_norm.eps = step.spec.norm_eps;
  }
  normalize_heads(step, block.query_norm, query);
  normalize_heads(step, block.key_norm, key);
}

/// t.query, t.key, t.value from t.attention_input.
template <class E>
void project(const DeviceStep<E>& step, DeviceTrace<E>& t) {
  const auto times = [&]<class Out>(Role role, const char* what, Out) {
    return linear<Out>(step.gpu, step.block.layer(role), t.attention_input, what);
  };
  if (step.spec.rotary) {
    const Rotation rotated(step);
    auto query = times(Role::query, "queries", 0.f), key = times(Role::key, "keys", 0.f);
    if (step.spec.qk_norm) normalize_queries_and_keys(step, query, key, t);
    t.query = rotated.template of<E>(query, "rotated queries");
    t.key = rotated.template of<E>(key, "rotated keys");
  } else {
    t.query = times(Role::query, "queries", E(0));
    t.key = times(Role::key, "keys", E(0));
  }
  t.value = times(Role::value, "values", E(0));
}

/// t.down_input from t.mlp_input.
template <class E>
void widen(const DeviceStep<E>& step, DeviceTrace<E>& t) {
  const char* what = "input of the last MLP layer";
  if (step.spec.gated) {
    const auto gate = linear<float>(step.gpu, step.block.layer(Role::gate), t.mlp_input, "gate");
    const auto up = linear<float>(step.gpu, step.block.layer(Role::up), t.mlp_input, "up");
    t.down_input = DeviceMatrix<E>(step.gpu, up.rows(), up.cols(), what);
    if (step.spec.activation == Activation::silu)
      kernels::gate<E>(step.gpu.main(), gate.view(), up.view(), t.down_input.view());
    else
      kernels::gelu_gate<E>(step.gpu.main(), gate.view(), up.view(), t.down_input.view());
  } else {
    t.down_input = linear<E>(step.gpu, step.block.layer(Role::up), t.mlp_input, what,
                             linalg::Activation::relu);
  }
}

}  // namespace

template <class E>
DeviceTrace<E> decoder_block(const DeviceStep<E>& step, DeviceView<const float> hidden) {
  const auto& [gpu, spec, block, length, keep, until] = step;
  CONSTRICTOR_REQUIRE(spec.gated == (spec.activation != Activation::relu));
  CONSTRICTOR_REQUIRE(spec.rotary || !spec.qk_norm);
  DeviceTrace<E> t;

  t.attention_input = before(step, block.attention_norm, hidden);
  project(step, t);
  step.done_with(t.attention_input);

  t.attention = attention_form(spec, block.index);
  if (until == Until::attention) return t;
  t.output_input = attention<E>(gpu, spec, t.attention, length, std::as_const(t.query).view(),
                                std::as_const(t.key).view(), std::as_const(t.value).view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  if (until == Until::output) return t;
  t.output = device::copied(gpu, hidden, "hidden states");
  add_sublayer(step, Role::output, block.attention_post_norm, t.output_input, t.output.view());
  step.done_with(t.output_input);
  after(step, block.attention_norm, t.output.view());

  t.mlp_input = before(step, block.mlp_norm, t.output.view());
  if (until == Until::mlp) return t;
  widen(step, t);
  step.done_with(t.mlp_input);

  add_sublayer(step, Role::down, block.mlp_post_norm, t.down_input, t.output.view());
  step.done_with(t.down_input);
  after(step, block.mlp_norm, t.output.view());
  return t;
}

template DeviceTrace<float> decoder_block(const DeviceStep<float>&, DeviceView<const float>);
template DeviceTrace<bfloat16> decoder_block(const DeviceStep<bfloat16>&, DeviceView<const float>);

}  // namespace constrictor::model
