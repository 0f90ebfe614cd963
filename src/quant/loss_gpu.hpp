// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "data/device_factored.hpp"

namespace constrictor::quant {

/// Output sides of heads of one size on the device; no heads: one-sided.
struct DeviceHeads {
  Index count = 0, size = 0;
  device::DeviceMatrix<float> H;             // [heads size x size] H_out, original order
  device::DeviceMatrix<std::int32_t> order;  // [heads x size] sweep position -> row of the head

  DeviceHeads(const device::Context& gpu, const std::vector<const OutputSide<float>*>& heads,
              Index rows);
};

/// quant::Objective on the device, for whole heads one below the other or for rows without an
/// output side. Products are float32, sums float64.
class DeviceObjective {
 public:
  /// Views and sides must outlive the object.
  DeviceObjective(const device::Context& gpu, DeviceView<const float> W,
                  const DeviceInputSide& side, const DeviceHeads& heads);

  /// M H_in
  device::DeviceMatrix<float> input_product(DeviceView<const float> M) const;
  /// Contribution of each row to L(Q), from Q and QH = Q H_in; waits for the device.
  std::vector<double> row_losses(DeviceView<const float> Q, DeviceView<const float> QH) const;
  /// R = H_out (W - Q) H_in + H_out W D from QH = Q H_in.
  device::DeviceMatrix<float> residual(DeviceView<const float> QH) const;
  /// tr(H_out W H_in W'); waits for the device.
  double scale() const;

  const DeviceHeads& heads() const { return heads_; }
  DeviceView<const float> W() const { return W_; }
  DeviceView<const float> H_in() const { return side_.H.view(); }

 private:
  device::DeviceMatrix<float> weighted(device::DeviceMatrix<float> M) const;  // H_out M

  const device::Context& gpu_;
  DeviceView<const float> W_;
  const DeviceInputSide& side_;
  const DeviceHeads& heads_;
  device::DeviceMatrix<float> weight_product_;  // W H_in
  device::DeviceMatrix<float> drift_;           // H_out W D, empty without drift
};

}  // namespace constrictor::quant
