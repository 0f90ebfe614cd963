// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// The widest panel of columns that one call takes.
inline constexpr Index sweep_panel = 128;

/// Grid of the columns of a panel: column c of row r has scale(r, group[c]) and zero(r, group[c]).
template <class T>
struct PanelGrid {
  View<const T> scale;        // [rows x groups] > 0
  View<const T> zero;         // [rows x groups] integer-valued
  const std::int32_t* group;  // [n]
  T top;                      // largest code, 2^bits - 1
};

/// GPTQ inside one panel of columns (Frantar et al., ICLR 2023, Alg. 1; P: GPTAQ, arXiv
/// 2504.02692).
///   W       [rows x n]  in: weights, out: w_c as it was when column c had its turn
///   U       [n x n]     upper triangular, H^-1 = U' U
///   P       [n x n]     strictly upper drift propagator, or empty
///   errors  [rows x n]  out: e_c = (w_c - q_c) / U_cc
///   codes   [rows x n]  out
/// For c = 0 .. n-1:  q = quantize(w_c),  W[:, j] -= e_c U_cj - w_c P_cj  for all j > c.
/// n <= sweep_panel. Rows are independent and stay in registers (16 at a time for float).
template <class T>
void column_sweep(View<T> W, View<const T> U, View<const T> P, const PanelGrid<T>& grid,
                  View<T> errors, View<std::uint8_t> codes);

/// PanelGrid with everything on the device.
struct DevicePanelGrid {
  DeviceView<const float> scale, zero;  // [rows x groups]
  const std::int32_t* group;            // [n]
  float top;
};
/// The same on the device: 32 rows a block, U and P in shared memory. One launch takes all rows of
/// all heads.
void column_sweep(const device::Stream& stream, DeviceView<float> W, DeviceView<const float> U,
                  DeviceView<const float> P, const DevicePanelGrid& grid, DeviceView<float> errors,
                  DeviceView<std::uint8_t> codes);

/// The same as plain loops; the oracle.
template <class T>
void column_sweep_reference(View<T> W, View<const T> U, View<const T> P, const PanelGrid<T>& grid,
                            View<T> errors, View<std::uint8_t> codes);

/// code = clamp(round(w / s) + z, 0, top), round half to even.
template <class T>
inline T code_of(T w, T scale, T zero, T top) {
  const T code = __builtin_rint(w / scale) + zero;
  return code < T(0) ? T(0) : code > top ? top : code;
}
template <>
inline float code_of(float w, float scale, float zero, float top) {
  const float code = __builtin_rintf(w / scale) + zero;
  return code < 0.f ? 0.f : code > top ? top : code;
}

}  // namespace constrictor::kernels
