// SPDX-License-Identifier: Apache-2.0
#include "backend/device_statistics_gpu.hpp"

namespace constrictor::backend {

const Matrix<float>& DeviceStatistics::output(const Block& block, Role role, Index h) {
  auto& heads = outputs_[role];
  if (heads.empty()) {
    switch (role) {
      case Role::query:
        heads = hessian::query_output_hessians(gpu_, shape_, sums_, frequencies_, length_);
        break;
      case Role::key:
        heads = hessian::key_output_hessians(gpu_, shape_, sums_, frequencies_, length_);
        break;
      case Role::value:
        for (Index k = 0; k < shape_.kv_heads; ++k)
          heads.push_back(
              hessian::value_output_hessian(shape_, block.layer(Role::output).weight.view(), k));
        break;
      default:
        throw Bug("no output side for a layer of role " + std::to_string(static_cast<int>(role)));
    }
  }
  const bool shared = role == Role::query && !shape_.qk_norm;
  return heads.at(static_cast<std::size_t>(shared ? h / (shape_.heads / shape_.kv_heads) : h));
}

void DeviceStatistics::use(const Block& block, LayerInputs& inputs) {
  inputs.input_statistics = [this](const InputUnit& unit) {
    const auto raw = input(unit);
    hessian::InputStatistics host{device::downloaded<float>(gpu_, raw.H.view()), {}};
    if (!raw.D.empty()) host.D = device::downloaded<float>(gpu_, raw.D.view());
    return host;
  };
  inputs.output_hessian = [this, &block](const LayerPlan& plan, Index h) {
    return output(block, plan.layer->role, h);
  };
}

}  // namespace constrictor::backend
