// SPDX-License-Identifier: Apache-2.0
#pragma once
// The statistics of one block as they lie on a device after `gather`.
#include <span>

#include "backend/layer_inputs.hpp"
#include "data/device_block.hpp"
#include "hessian/accumulate_gpu.hpp"

namespace constrictor::backend {

class DeviceStatistics {
 public:
  DeviceStatistics(const device::Context& gpu, const SumShape& shape, DeviceSums sums,
                   std::span<const float> frequencies, Index length)
      : gpu_(gpu),
        shape_(shape),
        sums_(std::move(sums)),
        frequencies_(frequencies),
        length_(length) {}

  hessian::DeviceInputStatistics input(const InputUnit& unit) {
    return hessian::input_statistics(gpu_, shape_, sums_, unit.place, unit.head);
  }
  /// Raw H_out of head h of a layer, on the host.
  const Matrix<float>& output(const Block& block, Role role, Index h);
  /// Gives a host's LayerInputs these statistics; valid as long as this object.
  void use(const Block& block, LayerInputs& inputs);

 private:
  const device::Context& gpu_;
  SumShape shape_;
  DeviceSums sums_;
  std::span<const float> frequencies_;
  Index length_;
  std::map<Role, std::vector<Matrix<float>>> outputs_;  // per key-value head, made when asked for
};

}  // namespace constrictor::backend
