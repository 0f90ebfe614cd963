// SPDX-License-Identifier: Apache-2.0
#pragma once
// The two sides of the objective L(Q) = tr(H_out dW H_in dW') - 2 tr(H_out W D dW'), damped,
// factored and ready for the solvers (README "Notation"). T is float, or double for the golden
// data.

#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

/// Input side of one layer, or of one key-value head of the value layer.
template <class T>
struct InputSide {
  Matrix<T> H;      // [in x in] damped H_in, original order
  Matrix<T> D;      // [in x in] alpha D, original order; empty without drift
  Matrix<T> shift;  // [in x in] alpha D H^-1: W* = W + W shift; empty unless a solver asks for it
  Matrix<T>
      R;  // [in x in] upper, H = R R', in sweep order: e H e' = |e R|^2; may be empty (no root)
  Matrix<T> U;  // [in x in] upper, H^-1 = U' U, in sweep order
  Matrix<T>
      P;  // [in x in] strictly upper, triu(D U', 1) U, in sweep order; empty unless `sequential`
  std::vector<std::int32_t> order;  // sweep position -> input; empty = original
  std::vector<Index> dead;          // inputs that are always zero; their weights count as zero
  double alpha = 0;                 // share of the drift in D, shift and P; 0 without
  double damping = 0;               // λ of the attempt that succeeded
  int retries = 0;                  // attempts with ten times the damping
  bool second_try_in_double = false;
  double condition = 1;
};

/// Output side of one head.
template <class T>
struct OutputSide {
  Matrix<T> H;                      // [d x d] damped H_out, original order
  Matrix<T> U;                      // [d x d] upper, H_out^-1 = U' U, in sweep order
  std::vector<std::int32_t> order;  // sweep position -> row of the head; empty = original
  double damping = 0;
  int retries = 0;
};

}  // namespace constrictor
