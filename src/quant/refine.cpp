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

/// The products of a batch of rows that one pass needs: y(k, g) = Z[i,g] H_in[g,:] for row number
/// k.
template <class T>
class RowProducts {
 public:
  /// `ZH` = Z H_in when there is one group (the products are its rows then), else not read.
  RowProducts(const Objective<T>& objective, View<const T> Z, View<const T> ZH, Index groups)
      : objective_(objective), Z_(Z), ZH_(ZH), groups_(groups), size_(Z.cols / groups) {
    if (groups == 1) return;
    batch_ = Matrix<T>::uninitialized(std::min(batch, Z.rows), Z.cols);
    Y_ = Matrix<T>::uninitialized(groups * std::min(batch, Z.rows), Z.cols);
  }

  /// Takes the rows `rows[0..n)`.
  void form(const std::vector<Index>& rows) {
    rows_ = &rows;
    if (groups_ == 1) return;
    const auto n = static_cast<Index>(rows.size());
    for (Index k = 0; k < n; ++k) {
      const T* z = Z_.row(rows[static_cast<std::size_t>(k)]);
      std::copy(z, z + Z_.cols, batch_.row(k));
    }
    for (Index g = 0; g < groups_; ++g)
      linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1),
                      batch_.view().block(0, g * size_, n, size_),
                      objective_.H_in.rows_from(g * size_, size_), T(0),
                      Y_.view().rows_from(g * n, n));
  }
  const T* operator()(Index k, Index g) const {
    if (groups_ == 1) return ZH_.row((*rows_)[static_cast<std::size_t>(k)]);
    return Y_.row(g * static_cast<Index>(rows_->size()) + k);
  }

 private:
  const Objective<T>& objective_;
  View<const T> Z_, ZH_;
  Index groups_, size_;
  const std::vector<Index>* rows_ = nullptr;
  Matrix<T> batch_, Y_;
};

/// One pass. `slope` [rows x groups] holds R[i,g] . Z[i,g] and is kept current.
template <class T>
void pass_over_rows(const Objective<T>& objective, View<const T> Z, RowProducts<T>& products,
                    const std::vector<std::int32_t>& order, Grid<T>& grid, View<T> slope) {
  const Index rows = Z.rows, in = Z.cols, groups = grid.groups(), size = grid.group_size;
  const bool two_sided = objective.H_out.size() > 0;
  std::vector<T> moved(static_cast<std::size_t>(in));
  for (Index first = 0; first < rows; first += batch) {
    std::vector<Index> members;
    for (Index p = first; p < std::min(rows, first + batch); ++p)
      members.push_back(order.empty() ? p : Index{order[static_cast<std::size_t>(p)]});
    products.form(members);
    for (std::size_t member = 0; member < members.size(); ++member) {
      const Index i = members[member], k = static_cast<Index>(member);
      const T weight = two_sided ? objective.H_out(i, i) : T(1);
      std::fill(moved.begin(), moved.end(), T(0));
      for (Index g = 0; g < groups; ++g) {
        const T* y = products(k, g);
        const T curvature = weight * dot(y + g * size, Z.row(i) + g * size, size);
        if (!(curvature > T(0))) continue;
        const T step = slope(i, g) / curvature;
        grid.scale(i, g) += step;
        for (Index other = 0; other < groups; ++other)
          slope(i, other) -= weight * step * dot(y + other * size, Z.row(i) + other * size, size);
        if (two_sided)
          for (Index c = 0; c < in; ++c) moved[static_cast<std::size_t>(c)] += step * y[c];
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

/// Q H_in: with one group s (Z H_in), else a product.
template <class T>
Matrix<T> quantized_product(const Objective<T>& objective, View<const T> Q, const Matrix<T>& ZH,
                            const Grid<T>& grid) {
  if (ZH.empty()) return objective.input_product(Q);
  auto QH = Matrix<T>::uninitialized(ZH.rows(), ZH.cols());
  for (Index r = 0; r < ZH.rows(); ++r)
    for (Index c = 0; c < ZH.cols(); ++c) QH(r, c) = grid.scale(r, 0) * ZH(r, c);
  return QH;
}

}  // namespace

template <class T>
Refinement refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes,
                         Index passes, const std::vector<std::int32_t>& row_order, Grid<T>& grid) {
  Refinement result;
  if (codes.size() == 0) return result;
  const auto Z = shifted_codes(codes, grid);
  const auto ZH = grid.groups() == 1 ? objective.input_product(Z.view()) : Matrix<T>();
  Matrix<T> QH;
  const auto losses = [&] {
    const auto Q = dequantize<T>(codes, grid);
    QH = quantized_product<T>(objective, Q.view(), ZH, grid);
    return objective.loss(Q.view(), QH.view(), &result.row_loss);
  };
  result.loss_before = result.loss_after = losses();
  if (passes == 0) return result;

  Matrix<T> slope(codes.rows, grid.groups());
  const auto R = objective.residual(QH.view());
  const Index size = grid.group_size;
  for (Index r = 0; r < codes.rows; ++r)
    for (Index g = 0; g < grid.groups(); ++g)
      slope(r, g) = dot(R.row(r) + g * size, Z.row(r) + g * size, size);

  const auto before = grid.scale;
  RowProducts<T> products(objective, Z.view(), ZH.view(), grid.groups());
  for (Index p = 0; p < passes; ++p)
    pass_over_rows<T>(objective, Z.view(), products, row_order, grid, slope.view());
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
