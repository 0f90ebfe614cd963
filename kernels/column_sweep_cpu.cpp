// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/column_sweep.hpp"

namespace constrictor::kernels {
namespace {

// One vector register holds the same column of `lanes` rows: quantizing a column and spreading its
// error are then plain vertical operations.
template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(64)));
  static constexpr Index count = 64 / static_cast<Index>(sizeof(T));
};

constexpr Index strip =
    16;  // columns whose mutual updates are done before the rest of the panel sees them

template <class T>
struct RowGroup {
  typename Lanes<T>::Vector w[sweep_panel];  // [column][row]
  typename Lanes<T>::Vector error[sweep_panel];
};

/// w_j -= sum over c in [first, last) of e_c U_cj - w_c P_cj, in the order of c.
template <bool with_drift, class T>
inline void spread(RowGroup<T>& rows, Index first, Index last, Index j, View<const T> U,
                   View<const T> P) {
  auto sum = rows.w[j];
  for (Index c = first; c < last; ++c) {
    sum -= rows.error[c] * U(c, j);
    if constexpr (with_drift) sum += rows.w[c] * P(c, j);
  }
  rows.w[j] = sum;
}

template <class T>
inline void round_column(RowGroup<T>& rows, Index c, const typename Lanes<T>::Vector& scale,
                         const typename Lanes<T>::Vector& zero, T top, T diagonal,
                         std::uint8_t* codes) {
  for (Index r = 0; r < Lanes<T>::count; ++r) {
    const T code = code_of<T>(rows.w[c][r], scale[r], zero[r], top);
    codes[r] = static_cast<std::uint8_t>(code);
    rows.error[c][r] = (rows.w[c][r] - scale[r] * (code - zero[r])) / diagonal;
  }
}

template <bool with_drift, class T>
void sweep_rows(View<T> W, View<const T> U, View<const T> P, const PanelGrid<T>& grid,
                Index first_row, View<T> errors, View<std::uint8_t> codes) {
  constexpr Index lanes = Lanes<T>::count;
  const Index n = W.cols, rows = std::min(lanes, W.rows - first_row);
  RowGroup<T> group;
  std::uint8_t code[sweep_panel][lanes];
  for (Index c = 0; c < n; ++c)
    for (Index r = 0; r < lanes; ++r) group.w[c][r] = W(first_row + std::min(r, rows - 1), c);

  typename Lanes<T>::Vector scale{}, zero{};
  std::int32_t loaded = -1;
  for (Index first = 0; first < n; first += strip) {
    const Index last = std::min(n, first + strip);
    for (Index c = first; c < last; ++c) {
      spread<with_drift>(group, first, c, c, U, P);
      if (grid.group[c] != loaded) {
        loaded = grid.group[c];
        for (Index r = 0; r < lanes; ++r) {
          const Index row = first_row + std::min(r, rows - 1);
          scale[r] = grid.scale(row, loaded);
          zero[r] = grid.zero(row, loaded);
        }
      }
      round_column<T>(group, c, scale, zero, grid.top, U(c, c), code[c]);
    }
    for (Index j = last; j < n; ++j) spread<with_drift>(group, first, last, j, U, P);
  }

  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < n; ++c) {
      W(first_row + r, c) = group.w[c][r];
      errors(first_row + r, c) = group.error[c][r];
      codes(first_row + r, c) = code[c][r];
    }
}

}  // namespace

template <class T>
void column_sweep(View<T> W, View<const T> U, View<const T> P, const PanelGrid<T>& grid,
                  View<T> errors, View<std::uint8_t> codes) {
  CONSTRICTOR_REQUIRE(W.cols <= sweep_panel && U.rows == W.cols && errors.cols == W.cols, W.cols,
                      U.rows);
  if (W.rows < 4)
    return column_sweep_reference(W, U, P, grid, errors, codes);  // too few to fill a register
  for (Index row = 0; row < W.rows; row += Lanes<T>::count) {
    if (P.rows > 0)
      sweep_rows<true, T>(W, U, P, grid, row, errors, codes);
    else
      sweep_rows<false, T>(W, U, P, grid, row, errors, codes);
  }
}

template <class T>
void column_sweep_reference(View<T> W, View<const T> U, View<const T> P, const PanelGrid<T>& grid,
                            View<T> errors, View<std::uint8_t> codes) {
  for (Index r = 0; r < W.rows; ++r)
    for (Index c = 0; c < W.cols; ++c) {
      const T scale = grid.scale(r, grid.group[c]), zero = grid.zero(r, grid.group[c]), w = W(r, c);
      const T code = code_of<T>(w, scale, zero, grid.top);
      const T error = (w - scale * (code - zero)) / U(c, c);
      codes(r, c) = static_cast<std::uint8_t>(code);
      errors(r, c) = error;
      T* row = W.row(r);
      const T* u = U.row(c);
      for (Index j = c + 1; j < W.cols; ++j) row[j] -= error * u[j];
      if (P.rows == 0) continue;
      const T* p = P.row(c);
      for (Index j = c + 1; j < W.cols; ++j) row[j] += w * p[j];
    }
}

template void column_sweep(View<float>, View<const float>, View<const float>,
                           const PanelGrid<float>&, View<float>, View<std::uint8_t>);
template void column_sweep(View<double>, View<const double>, View<const double>,
                           const PanelGrid<double>&, View<double>, View<std::uint8_t>);
template void column_sweep_reference(View<float>, View<const float>, View<const float>,
                                     const PanelGrid<float>&, View<float>, View<std::uint8_t>);
template void column_sweep_reference(View<double>, View<const double>, View<const double>,
                                     const PanelGrid<double>&, View<double>, View<std::uint8_t>);

}  // namespace constrictor::kernels
