// SPDX-License-Identifier: Apache-2.0
#include "quant/grid.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/column_sweep.hpp"
#include "kernels/uniform_grid.hpp"

namespace constrictor::quant {
namespace {

using kernels::code_of;

/// x^2.4 of x >= 0.
inline double power_2_4(double x) { return std::pow(x, 2.4); }
using kernels::power_2_4;

template <class T>
T error_power(const T* w, Index n, T scale, T zero, T top) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index k = 0; k < n; ++k) {
    const T q = scale * (code_of<T>(w[k], scale, zero, top) - zero);
    sum += power_2_4(q < w[k] ? w[k] - q : q - w[k]);
  }
  return sum;
}

template <class T>
void search_mse(const T* w, Index n, const GridSettings& settings, T top, T& scale, T& zero) {
  const auto range = range_of(w, n, settings);
  T best = std::numeric_limits<T>::infinity();
  for (Index i = 0; i < shrinks; ++i)
    for (int z = 0; z < range.n_zeros; ++z) {
      const T s = range.scale(i, top), score = error_power(w, n, s, range.zeros[z], top);
      if (score < best) {
        best = score;
        scale = s;
        zero = range.zeros[z];
      }
    }
}

}  // namespace

GridSettings grid_settings(const QuantSpec& spec) {
  return {spec.bits, spec.symmetric, spec.group_size, spec.grid};
}

template <class T>
Range<T> range_of(const T* w, Index n, const GridSettings& settings) {
  const T top = T((1 << settings.bits) - 1);
  Range<T> range{0, 0, {0, 0}, 1};
  for (Index k = 0; k < n; ++k) {
    range.low = std::min(range.low, w[k]);
    range.high = std::max(range.high, w[k]);
  }
  if (settings.symmetric) {
    range.high = std::max(range.high, -range.low);
    if (range.low < 0) range.low = -range.high;
  }
  if (range.low == 0 && range.high == 0) range.low = -1, range.high = 1;
  if (settings.symmetric) {
    range.zeros[0] = T(1 << (settings.bits - 1));
    return range;
  }
  const T exact = -range.low / ((range.high - range.low) / top);
  if (settings.search == GridSearch::minmax) {
    range.zeros[0] = std::nearbyint(exact);
    return range;
  }
  range.zeros[0] = std::floor(exact);
  range.zeros[1] = std::ceil(exact);
  range.n_zeros = range.zeros[0] == range.zeros[1] ? 1 : 2;
  return range;
}

template <class T>
Grid<T> fit_grid(View<const T> W, const ErrorMetric<T>& metric, const GridSettings& settings) {
  const Index size = settings.group_size > 0 ? settings.group_size : W.cols;
  CONSTRICTOR_REQUIRE(size > 0 && W.cols % size == 0, W.cols, size);
  Grid<T> grid(W.rows, W.cols, settings.bits, size);
  for (Index g = 0; g < grid.groups(); ++g) {
    const auto group = W.cols_from(g * size, size);
    if (settings.search == GridSearch::hessian) {
      // A group's block has a root of its own; it is small and made where it is needed.
      const auto own = grid.groups() == 1
                           ? metric
                           : ErrorMetric<T>{metric.H.block(g * size, g * size, size, size), {}, {}};
      search_hessian<T>(group, own, settings, &grid.scale(0, g), &grid.zero(0, g), grid.groups());
      continue;
    }
    for (Index r = 0; r < W.rows; ++r) {
      if (settings.search == GridSearch::mse) {
        search_mse(group.row(r), size, settings, grid.top, grid.scale(r, g), grid.zero(r, g));
      } else {
        const auto range = range_of(group.row(r), size, settings);
        grid.scale(r, g) = range.scale(0, grid.top);
        grid.zero(r, g) = range.zeros[0];
      }
    }
  }
  return grid;
}

template <class T>
Matrix<std::uint8_t> round_to_grid(View<const T> W, const Grid<T>& grid) {
  auto codes = Matrix<std::uint8_t>::uninitialized(W.rows, W.cols);
  for (Index r = 0; r < W.rows; ++r)
    for (Index g = 0; g < grid.groups(); ++g)
      for (Index c = g * grid.group_size; c < (g + 1) * grid.group_size; ++c)
        codes(r, c) = static_cast<std::uint8_t>(
            code_of<T>(W(r, c), grid.scale(r, g), grid.zero(r, g), grid.top));
  return codes;
}

template <class T>
Matrix<T> dequantize(View<const std::uint8_t> codes, const Grid<T>& grid) {
  auto Q = Matrix<T>::uninitialized(codes.rows, codes.cols);
  for (Index r = 0; r < codes.rows; ++r)
    for (Index g = 0; g < grid.groups(); ++g)
      for (Index c = g * grid.group_size; c < (g + 1) * grid.group_size; ++c)
        Q(r, c) = grid.scale(r, g) * (T(codes(r, c)) - grid.zero(r, g));
  return Q;
}

#define CONSTRICTOR_INSTANTIATE(T)                                                      \
  template Range<T> range_of(const T*, Index, const GridSettings&);                     \
  template Grid<T> fit_grid(View<const T>, const ErrorMetric<T>&, const GridSettings&); \
  template Matrix<std::uint8_t> round_to_grid(View<const T>, const Grid<T>&);           \
  template Matrix<T> dequantize(View<const std::uint8_t>, const Grid<T>&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
