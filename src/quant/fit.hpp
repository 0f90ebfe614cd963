// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "quant/grid.hpp"
#include "quant/loss.hpp"

namespace constrictor::quant {

/// A quantization of some rows (all rows of a head, when the objective has an output side) on its
/// way down in L. refine.hpp, polish.hpp and zeros.hpp take the steps.
template <class T>
struct Fit {
  /// The objective must outlive the fit. `row_order`: position -> row, empty = as they stand.
  Fit(const Objective<T>& objective, std::vector<std::int32_t> row_order,
      Matrix<std::uint8_t> codes, Grid<T> grid);

  bool two_sided() const { return objective->H_out.size() > 0; }
  Index row_at(Index position) const {
    return row_order.empty() ? position : Index{row_order[static_cast<std::size_t>(position)]};
  }
  /// H_out[i,i]
  T weight(Index row) const { return two_sided() ? objective->H_out(row, row) : T(1); }

  /// All that follows from codes and grid afresh, after codes or zeros have changed.
  void codes_changed();
  /// The same after scales have changed only; one product Q H_in with groups, none without.
  void scales_changed();
  /// R may be stale after a refinement that knew its losses without it.
  void need_residual();

  const Objective<T>* objective;
  std::vector<std::int32_t> row_order;
  Matrix<std::uint8_t> codes;    // [rows x in]
  Grid<T> grid;                  // [rows x groups]
  Matrix<T> Z;                   // [rows x in] C - z
  Matrix<T> ZH;                  // [rows x in] Z H_in with one group, else empty
  Matrix<T> R;                   // [rows x in] H_out (W - Q) H_in + H_out W D
  bool stale = false;            // R belongs to scales of before
  std::vector<double> row_loss;  // [rows] contributions to L
  double loss = 0;               // L
};

/// Where L has risen all the same, by rounding, what was `before` stands again: row by row when
/// rows do not see each other, else all of it.
template <class T>
void take_back_rises(const Fit<T>& before, Fit<T>& fit);

/// Groups of a row whose codes all equal the zero point: no scale can change what they stand for.
template <class T>
Index frozen_scales(View<const std::uint8_t> codes, const Grid<T>& grid);

}  // namespace constrictor::quant
