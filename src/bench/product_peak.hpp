// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "device/device.hpp"

namespace constrictor::bench {

/// Operations per second (a multiply-add counts two) of large square products on one rank: what the
/// phases of a run are held against.
struct ProductPeak {
  double float32 = 0;
  double bfloat16 = 0;
};

/// The best of several products: 2048 x 2048 on all threads of a rank, up to 8192 x 8192 on a
/// device.
ProductPeak measured_peak(const device::Device& device);

/// product_peak_gpu.cpp or product_peak_none.cpp. Takes the device by itself, and gives it back.
ProductPeak measured_device_peak(const device::Device& device);

}  // namespace constrictor::bench
