// SPDX-License-Identifier: Apache-2.0
#pragma once
// data/factored.hpp on a device.
#include "data/factored.hpp"
#include "device/device_matrix.hpp"

namespace constrictor {

/// The matrices of InputSide<float> on the device, its numbers on the host.
struct DeviceInputSide {
  device::DeviceMatrix<float> H;      // [in x in] damped, original order, both triangles
  device::DeviceMatrix<float> D;      // alpha D, original order; empty without drift
  device::DeviceMatrix<float> shift;  // alpha D H^-1, original order; empty unless asked for
  device::DeviceMatrix<float> R;      // root, sweep order; empty when H has none
  device::DeviceMatrix<float> U;      // sweep order; empty for plain rounding
  device::DeviceMatrix<float> P;      // sweep order; empty unless `sequential`
  std::vector<std::int32_t> order;    // sweep position -> input; empty = original
  std::vector<Index> dead;
  double alpha = 0;  // share of the drift in D, shift and P; 0 without
  double damping = 0;
  int retries = 0;
  bool second_try_in_double = false;
  double condition = 1;

  /// In a fixed order, for broadcasts.
  template <class Function>
  void for_each_matrix(Function&& fn) {
    for (auto* m : {&H, &D, &shift, &R, &U, &P}) fn(*m);
  }
};

}  // namespace constrictor
