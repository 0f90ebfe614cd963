// SPDX-License-Identifier: Apache-2.0
// model/llama_block.cpp on the device. Whatever leaves a kernel as factor of a product is rounded
// to E there; what stays float32 (queries and keys before their rotation, gate and up) never is.
#include "kernels/gate.hpp"
#include "kernels/norm.hpp"
#include "kernels/rope.hpp"
#include "model/attention_gpu.hpp"
#include "model/blocks_gpu.hpp"
#include "model/linear_gpu.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
namespace {

using device::DeviceMatrix;

template <class E>
DeviceMatrix<E> normed(const DeviceStep<E>& step, const DeviceNorm& norm,
                       DeviceView<const float> hidden) {
  DeviceMatrix<E> result(step.gpu, hidden.rows, hidden.cols, "normed hidden states");
  kernels::rms_norm<E>(step.gpu.main(), hidden, norm.weight.view(), step.spec.norm_eps,
                       result.view());
  return result;
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

}  // namespace

template <class E>
DeviceTrace<E> llama_block(const DeviceStep<E>& step, DeviceView<const float> hidden) {
  const auto& [gpu, spec, block, length, keep, until] = step;
  DeviceTrace<E> t;

  t.attention_input = normed(step, block.attention_norm, hidden);
  {
    const Rotation rotated(step);
    const auto project = [&](Role role, const char* what) {
      return linear<float>(step.gpu, step.block.layer(role), t.attention_input, what);
    };
    t.query = rotated.of<E>(project(Role::query, "queries"), "rotated queries");
    t.key = rotated.of<E>(project(Role::key, "keys"), "rotated keys");
    t.value = linear<E>(gpu, block.layer(Role::value), t.attention_input, "values");
  }
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

  t.mlp_input = normed(step, block.mlp_norm, t.output.view());
  if (until == Until::mlp) return t;
  {
    const auto gate = linear<float>(gpu, block.layer(Role::gate), t.mlp_input, "gate");
    const auto up = linear<float>(gpu, block.layer(Role::up), t.mlp_input, "up");
    t.down_input = DeviceMatrix<E>(gpu, up.rows(), up.cols(), "input of the last MLP layer");
    kernels::gate<E>(gpu.main(), gate.view(), up.view(), t.down_input.view());
  }
  step.done_with(t.mlp_input);
  if (until == Until::down) return t;

  add_linear(gpu, block.layer(Role::down), t.down_input, t.output.view());
  step.done_with(t.down_input);
  return t;
}

template DeviceTrace<float> llama_block(const DeviceStep<float>&, DeviceView<const float>);
template DeviceTrace<bfloat16> llama_block(const DeviceStep<bfloat16>&, DeviceView<const float>);

}  // namespace constrictor::model
