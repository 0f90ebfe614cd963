// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/device_factored.hpp"
#include "hessian/damped.hpp"

namespace constrictor::hessian {

/// hessian::factor_input on the device: same damping, dead inputs, retries (float64, then ten times
/// the damping), errors and words. H and D are raw and taken over.
DeviceInputSide factor_input(const device::Context& gpu, device::DeviceMatrix<float> H,
                             device::DeviceMatrix<float> D, const FactorSettings& settings,
                             const std::string& name);
/// hessian::damp_input on the device.
DeviceInputSide damp_input(const device::Context& gpu, device::DeviceMatrix<float> H,
                           device::DeviceMatrix<float> D, const FactorSettings& settings,
                           const std::string& name);

}  // namespace constrictor::hessian
