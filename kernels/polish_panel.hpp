// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernels/column_sweep.hpp"
#include "kernels/quantized_rows.hpp"

namespace constrictor::kernels {

/// Integer descent inside one panel of columns (quant/polish.hpp).
///   R       [rows x n]  in and out: R of L, current
///   H       [n x n]     H_in of the panel's columns
///   weight  [rows]      H_out[i,i], or null: 1
///   codes   [rows x n]  in and out
///   change  [rows x n]  out: dQ, zero where a code stays
/// For c = 0 .. n-1:  code = quantize(q + R[i,c] / (weight_i H_cc)),
///                    R[i,:] -= weight_i (q_new - q) H[c,:] over the panel.
/// n <= sweep_panel. Rows are independent.
template <class T>
void polish_panel(View<T> R, View<const T> H, const T* weight, const PanelGrid<T>& grid,
                  View<std::uint8_t> codes, View<T> change);

/// The same on the device, a warp a row; the panel begins at column `first` of the grids. Writes
/// what R moves by, weight_i dQ, to `push` [rows x n].
void polish_panel(const device::Stream& stream, DeviceView<float> R, DeviceView<const float> H,
                  const float* weight, const RowGrids& grids, Index first,
                  DeviceView<std::uint8_t> codes, DeviceView<float> push);

}  // namespace constrictor::kernels
