// SPDX-License-Identifier: Apache-2.0
// model/decoder_block.cpp on the device. Whatever leaves a kernel as factor of a product is rounded
// to E there; what stays float32 (queries and keys before their rotation, gate and up) never is.
#include "model/decoder_block_gpu.hpp"

#include "kernels/gate.hpp"
#include "kernels/norm.hpp"
#include "kernels/rope.hpp"
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
    const auto frequencies =
        device::uploaded(gpu_, rope_frequencies(step.spec), "frequencies of rotations");
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

/// t.query, t.key, t.value from t.attention_input.
template <class E>
void project(const DeviceStep<E>& step, DeviceTrace<E>& t) {
  const auto times = [&]<class Out>(Role role, const char* what, Out) {
    return linear<Out>(step.gpu, step.block.layer(role), t.attention_input, what);
  };
  if (step.spec.rotary) {
    const Rotation rotated(step);
    t.query = rotated.template of<E>(times(Role::query, "queries", 0.f), "rotated queries");
    t.key = rotated.template of<E>(times(Role::key, "keys", 0.f), "rotated keys");
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
    kernels::gate<E>(step.gpu.main(), gate.view(), up.view(), t.down_input.view());
  } else {
    t.down_input = linear<E>(step.gpu, step.block.layer(Role::up), t.mlp_input, what,
                             linalg::Activation::relu);
  }
}

}  // namespace

template <class E>
DeviceTrace<E> decoder_block(const DeviceStep<E>& step, DeviceView<const float> hidden) {
  const auto& [gpu, spec, block, length, keep] = step;
  CONSTRICTOR_REQUIRE(spec.activation == (spec.gated ? Activation::silu : Activation::relu));
  DeviceTrace<E> t;

  t.attention_input = before(step, block.attention_norm, hidden);
  project(step, t);
  step.done_with(t.attention_input);

  t.output_input = attention<E>(gpu, spec, length, std::as_const(t.query).view(),
                                std::as_const(t.key).view(), std::as_const(t.value).view());
  step.done_with(t.query);
  step.done_with(t.key);
  step.done_with(t.value);

  t.output = device::copied(gpu, hidden, "hidden states");
  add_linear(gpu, block.layer(Role::output), t.output_input, t.output.view());
  step.done_with(t.output_input);
  after(step, block.attention_norm, t.output.view());

  t.mlp_input = before(step, block.mlp_norm, t.output.view());
  widen(step, t);
  step.done_with(t.mlp_input);

  add_linear(gpu, block.layer(Role::down), t.down_input, t.output.view());
  step.done_with(t.down_input);
  after(step, block.mlp_norm, t.output.view());
  return t;
}

template DeviceTrace<float> decoder_block(const DeviceStep<float>&, DeviceView<const float>);
template DeviceTrace<bfloat16> decoder_block(const DeviceStep<bfloat16>&, DeviceView<const float>);

}  // namespace constrictor::model
