// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/matrix.hpp"

namespace constrictor::quant {

/// The fixed parts of the objective of some rows (all rows of a head, when it has an output side):
///   L(Q) = tr(H_out dW H_in dW') - 2 tr(H_out W D dW'),  dW = Q - W
/// Everything about a Q follows from its product Q H_in, which callers often have at hand.
template <class T>
class Objective {
 public:
  /// Views must outlive the object; D and H_out may be empty (no drift; H_out = 1).
  Objective(View<const T> W, View<const T> H_in, View<const T> D, View<const T> H_out);

  /// M H_in, [rows x in].
  Matrix<T> input_product(View<const T> M) const;
  /// L(Q) from Q and QH = Q H_in; with `row_loss` [rows] the contribution of each row, with `R` the
  /// residual that belongs to it.
  double loss(View<const T> Q, View<const T> QH, std::vector<double>* row_loss = nullptr,
              Matrix<T>* R = nullptr) const;
  /// R = H_out (W - Q) H_in + H_out W D, minus half the gradient of L, from QH = Q H_in.
  Matrix<T> residual(View<const T> QH) const;
  /// tr(H_out W H_in W'), what losses are relative to.
  double scale() const;

  View<const T> W, H_in, H_out;

 private:
  Matrix<T> weighted(Matrix<T> M) const;  // H_out M
  Matrix<T> weight_product_;              // W H_in
  Matrix<T> drift_;                       // H_out W D, empty without drift
};

}  // namespace constrictor::quant
