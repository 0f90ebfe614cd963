// SPDX-License-Identifier: Apache-2.0
// A build without CUDA: device::choose_device has refused `device: cuda` before.
#include "bench/product_peak.hpp"
#include "core/error.hpp"

namespace constrictor::bench {

ProductPeak measured_device_peak(const device::Device&) {
  throw Bug("products of a device in a build without CUDA");
}

}  // namespace constrictor::bench
