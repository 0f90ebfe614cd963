// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/factored.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {

/// GPTQ of some rows of one layer: codes for W on fixed grids, with compensation along the columns.
///   W     [rows x in]  weights to aim at, original order
///   side               U (and P) in sweep order; its `order` is applied here and undone
///   grid               of the same rows, groups of the original order (static groups)
/// Panels of 128 columns: the recursion inside a panel in registers (kernels/column_sweep), one
/// product for everything to its right. `beam` > 1: each row keeps that many prefixes, the cheapest
/// one wins (quant/beam_sweep.hpp); not with P. `compensated` gets the weights as rounding met
/// them, original order; only with one prefix.
template <class T>
Matrix<std::uint8_t> sweep(View<const T> W, const InputSide<T>& side, const Grid<T>& grid,
                           Index beam = 1, Matrix<T>* compensated = nullptr);

}  // namespace constrictor::quant
