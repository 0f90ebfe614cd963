// SPDX-License-Identifier: Apache-2.0
#include "quant/refine.hpp"

#include <algorithm>
#include <vector>

#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

constexpr Index batch = 16;  // rows whose products with H_in are formed together

template <class T>
T dot(const T* a, const T* b, Index n) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
Matrix<T> shifted_codes(View<const std::uint8_t> codes, const Grid<T>& grid) {
  auto Z = Matrix<T>::uninitialized(codes.rows, codes.cols);
  for (Index r = 0; r < codes.rows; ++r)
    for (Index c = 0; c < codes.cols; ++c)
      Z(r, c) = T(codes(r, c)) - grid.zero(r, c / grid.group_size);
  return Z;
}

/// One pass. `slope` [rows x groups] holds R[i,g] . Z[i,g] and is kept current.
template <class T>
void pass_over_rows(const Objective<T>& objective, View<const T> Z,
                    const std::vector<std::int32_t>& order, Grid<T>& grid, View<T> slope) {
  const Index rows = Z.rows, in = Z.cols, groups = grid.groups(), size = grid.group_size;
  const bool two_sided = objective.H_out.size() > 0;
  Matrix<T> Y = Matrix<T>::uninitialized(groups * std::min(batch, rows), in);  // Z[i,g] H_in[g,:]
  Matrix<T> Z_batch = Matrix<T>::uninitialized(std::min(batch, rows), in);
  std::vector<T> moved(static_cast<std::size_t>(in));
  const auto row_at = [&](Index position) {
    return order.empty() ? position : Index{order[static_cast<std::size_t>(position)]};
  };
  for (Index first = 0; first < rows; first += batch) {
    const Index n = std::min(batch, rows - first);
    for (Index k = 0; k < n; ++k)
      std::copy(Z.row(row_at(first + k)), Z.row(row_at(first + k)) + in, Z_batch.row(k));
    for (Index g = 0; g < groups; ++g)
      linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1),
                      Z_batch.view().block(0, g * size, n, size),
                      objective.H_in.rows_from(g * size, size), T(0), Y.view().rows_from(g * n, n));
    for (Index k = 0; k < n; ++k) {
      const Index i = row_at(first + k);
      const T weight = two_sided ? objective.H_out(i, i) : T(1);
      const auto y = [&](Index g) { return Y.row(g * n + k); };
      std::fill(moved.begin(), moved.end(), T(0));
      for (Index g = 0; g < groups; ++g) {
        const T curvature = weight * dot(y(g) + g * size, Z.row(i) + g * size, size);
        if (!(curvature > T(0))) continue;
        const T step = slope(i, g) / curvature;
        grid.scale(i, g) += step;
        for (Index other = 0; other < groups; ++other)
          slope(i, other) -=
              weight * step * dot(y(g) + other * size, Z.row(i) + other * size, size);
        if (two_sided)
          for (Index c = 0; c < in; ++c) moved[static_cast<std::size_t>(c)] += step * y(g)[c];
      }
      if (!two_sided) continue;
      for (Index j = 0; j < rows; ++j) {  // R[j] -= H_out[j,i] dQ_i H_in
        if (j == i) continue;
        for (Index g = 0; g < groups; ++g)
          slope(j, g) -=
              objective.H_out(j, i) * dot(moved.data() + g * size, Z.row(j) + g * size, size);
      }
    }
  }
}

}  // namespace

template <class T>
Refinement refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes,
                         Index passes, const std::vector<std::int32_t>& row_order, Grid<T>& grid) {
  Refinement result;
  const auto losses = [&] {
    return objective.loss(dequantize<T>(codes, grid).view(), &result.row_loss);
  };
  if (passes == 0 || codes.size() == 0) {
    result.loss_before = result.loss_after = losses();
    return result;
  }
  const auto Z = shifted_codes(codes, grid);
  Matrix<T> slope(codes.rows, grid.groups());
  {
    const auto R = objective.residual(dequantize(codes, grid).view(), &result.loss_before);
    const Index size = grid.group_size;
    for (Index r = 0; r < codes.rows; ++r)
      for (Index g = 0; g < grid.groups(); ++g)
        slope(r, g) = dot(R.row(r) + g * size, Z.row(r) + g * size, size);
  }
  const auto before = grid.scale;
  for (Index p = 0; p < passes; ++p)
    pass_over_rows<T>(objective, Z.view(), row_order, grid, slope.view());
  result.loss_after = losses();
  if (result.loss_after <= result.loss_before) return result;
  grid.scale = before;
  result.loss_after = losses();
  return result;
}

template Refinement refine_scales(const Objective<float>&, View<const std::uint8_t>, Index,
                                  const std::vector<std::int32_t>&, Grid<float>&);
template Refinement refine_scales(const Objective<double>&, View<const std::uint8_t>, Index,
                                  const std::vector<std::int32_t>&, Grid<double>&);

}  // namespace constrictor::quant
