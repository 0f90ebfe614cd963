// SPDX-License-Identifier: Apache-2.0
#pragma once
// Uniform grids: W~ = s (C - z), C = clamp(round(W / s) + z, 0, 2^bits - 1), one (s, z) per row and
// group.

#include <span>

#include "core/matrix.hpp"
#include "data/specs.hpp"
#include "kernels/uniform_grid.hpp"

namespace constrictor::quant {

template <class T>
struct Grid {
  Matrix<T> scale;       // [rows x groups] > 0
  Matrix<T> zero;        // [rows x groups] integer-valued
  Index group_size = 0;  // inputs in a group, never 0 here
  T top = 0;             // largest code, 2^bits - 1

  Grid() = default;
  Grid(Index rows, Index cols, int bits, Index size)
      : scale(rows, cols / size),
        zero(rows, cols / size),
        group_size(size),
        top(T((1 << bits) - 1)) {}
  Index groups() const { return scale.cols(); }
};

struct GridSettings {
  int bits = 2;
  bool symmetric = false;
  Index group_size = 0;  // 0 = a whole row
  GridSearch search = GridSearch::hessian;
};

GridSettings grid_settings(const QuantSpec& spec);

/// What a row and group of weights spans before any shrinking.
template <class T>
struct Range {
  T low, high;
  T zeros[2];  // candidates for z in the order of the search
  int n_zeros;
  T scale(Index shrink, T top) const {  // of p = 1 - shrink / 100
    return kernels::shrunk_scale(low, high, shrink, top);
  }
};
template <class T>
Range<T> range_of(const T* weights, Index count, const GridSettings& settings);

inline constexpr Index shrinks = kernels::grid_shrinks;

/// What `hessian` scores errors with.
template <class T>
struct ErrorMetric {
  View<const T> H;  // [in x in] damped H_in, original order
  View<const T> R;  // [in x in] upper root, H = R R', rows and columns in `order`; may be empty
  std::span<const std::int32_t> order;  // position -> input; empty = original
};

/// Fits the grids of all rows of W [rows x in].
///   minmax   s from the range, z = round(-low / s)
///   mse      the shrink and zero with the smallest sum |q(w) - w|^2.4
///   hessian  ... with the smallest e H_gg e', e = q(w) - w, H_gg = the group's diagonal block
/// The first strictly smaller score wins, shrinks outside, zeros (floor, ceil of -low / s) inside.
template <class T>
Grid<T> fit_grid(View<const T> W, const ErrorMetric<T>& metric, const GridSettings& settings);

/// `hessian` for one group without shortcuts: every candidate is scored by a full product. The
/// oracle of `search_hessian`. Writes scale and zero [rows].
template <class T>
void search_hessian_full(View<const T> W, View<const T> H, const GridSettings& settings, T* scale,
                         T* zero, Index stride);

/// The same choice from sparse updates of e R: from one shrink to the next few codes change, and
/// |e R|^2 follows from the rows of R that belong to them. About 60 times fewer operations.
template <class T>
void search_hessian(View<const T> W, const ErrorMetric<T>& metric, const GridSettings& settings,
                    T* scale, T* zero, Index stride);

/// Plain rounding on a grid: codes [rows x in].
template <class T>
Matrix<std::uint8_t> round_to_grid(View<const T> W, const Grid<T>& grid);

/// s (C - z), [rows x in].
template <class T>
Matrix<T> dequantize(View<const std::uint8_t> codes, const Grid<T>& grid);

}  // namespace constrictor::quant
