// SPDX-License-Identifier: Apache-2.0
#pragma once
// quant/solvers.hpp on the device: the same equations for many rows and heads at once, the CPU text
// is the oracle.
#include "data/device_factored.hpp"
#include "quant/solvers.hpp"

namespace constrictor::quant {

/// Some rows of one layer: any rows of a one-sided layer, or `heads` whole heads, one below the
/// other, with an output side each.
struct DeviceProblem {
  View<const float> weight;  // [rows x in], host
  const DeviceInputSide* input = nullptr;
  std::vector<const OutputSide<float>*> heads;  // empty: one-sided
  const QuantSpec* spec = nullptr;
};

/// What solver(spec.method).solve makes of it, all rows in one Solution (losses are sums over the
/// rows; `column_energy` too). For a row the bits do not depend on the other rows only as long as
/// the shape of the problem is the same: callers cut layers into pieces of fixed size.
/// Waits for the device.
Solution<float> solve(const device::Context& gpu, const DeviceProblem& problem);

/// Plain rounding with the losses of `problem` one-sided (see solve_rtn).
Solution<float> solve_rtn(const device::Context& gpu, const DeviceProblem& problem);

}  // namespace constrictor::quant
