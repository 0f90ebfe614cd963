// SPDX-License-Identifier: Apache-2.0
#pragma once
// Statistics -> damped, factored sides: H <- H + λ mean(diag H) I, H^-1 = U' U.

#include <string>

#include "data/factored.hpp"
#include "data/specs.hpp"

namespace constrictor::hessian {

/// No factor whatever the damping; a run may allow a simpler method for it. NaN is not of this
/// kind.
struct FactorizationError : NumericalError {
  using NumericalError::NumericalError;
};

/// How the input side is prepared. `shift_wanted`: the target shift D H^-1 is needed (exact drift,
/// or sequential drift with an output side).
struct FactorSettings {
  double damping = 0.01;
  Index length = 1;  // tokens of a sequence; a dead input gets the diagonal entry 1 / length
  Drift drift = Drift::none;
  double alpha = 0.25;
  Order column_order = Order::original;
  bool shift_wanted = false;
};

/// Damps and factors. When the factorization fails it is tried again in float64, then with ten
/// times the damping, five times at most; then FactorizationError with `name`, the condition and
/// advice.
///   H [in x in] raw H_in (both triangles), D [in x in] raw drift or empty
template <class T>
InputSide<T> factor_input(View<const T> H, View<const T> D, const FactorSettings& settings,
                          const std::string& name);

/// The same without U, for plain rounding: damped H, its root where it has one, and D.
template <class T>
InputSide<T> damp_input(View<const T> H, View<const T> D, const FactorSettings& settings,
                        const std::string& name);

/// The same for H_out [d x d] of one head. A zero diagonal entry (a channel that no key meets) is
/// set to 1.
template <class T>
OutputSide<T> factor_output(View<const T> H, double damping, Order row_order,
                            const std::string& name);

}  // namespace constrictor::hessian
