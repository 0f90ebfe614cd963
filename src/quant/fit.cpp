// SPDX-License-Identifier: Apache-2.0
#include "quant/fit.hpp"

#include <algorithm>

namespace constrictor::quant {
namespace {

template <class T>
void copy_row(const Matrix<T>& from, Index row, Matrix<T>& to) {
  if (!from.empty()) std::copy(from.row(row), from.row(row) + from.cols(), to.row(row));
}

}  // namespace

template <class T>
Fit<T>::Fit(const Objective<T>& L, std::vector<std::int32_t> order, Matrix<std::uint8_t> c,
            Grid<T> g)
    : objective(&L), row_order(std::move(order)), codes(std::move(c)), grid(std::move(g)) {
  codes_changed();
}

template <class T>
void Fit<T>::codes_changed() {
  Z = Matrix<T>::uninitialized(codes.rows(), codes.cols());
  for (Index r = 0; r < codes.rows(); ++r)
    for (Index c = 0; c < codes.cols(); ++c)
      Z(r, c) = T(codes(r, c)) - grid.zero(r, c / grid.group_size);
  if (grid.groups() == 1) ZH = objective->input_product(Z.view());
  scales_changed();
}

template <class T>
void Fit<T>::scales_changed() {
  const auto Q = dequantize<T>(codes.view(), grid);
  auto QH = Matrix<T>::uninitialized(ZH.rows(), ZH.cols());
  for (Index r = 0; r < ZH.rows(); ++r)
    for (Index c = 0; c < ZH.cols(); ++c) QH(r, c) = grid.scale(r, 0) * ZH(r, c);
  if (ZH.empty()) QH = objective->input_product(Q.view());
  loss = objective->loss(Q.view(), QH.view(), &row_loss, &R);
  stale = false;
}

template <class T>
void Fit<T>::need_residual() {
  if (stale) scales_changed();
}

template <class T>
void take_back_rises(const Fit<T>& before, Fit<T>& fit) {
  if (fit.two_sided()) {
    if (fit.loss > before.loss) fit = before;
    return;
  }
  for (Index r = 0; r < fit.codes.rows(); ++r) {
    const auto row = static_cast<std::size_t>(r);
    if (!(fit.row_loss[row] > before.row_loss[row])) continue;
    copy_row(before.codes, r, fit.codes);
    copy_row(before.grid.scale, r, fit.grid.scale);
    copy_row(before.grid.zero, r, fit.grid.zero);
    copy_row(before.Z, r, fit.Z);
    copy_row(before.ZH, r, fit.ZH);
    copy_row(before.R, r, fit.R);
    fit.row_loss[row] = before.row_loss[row];
  }
  fit.loss = 0;
  for (const double row : fit.row_loss) fit.loss += row;
}

template <class T>
Index frozen_scales(View<const std::uint8_t> codes, const Grid<T>& grid) {
  Index frozen = 0;
  for (Index r = 0; r < codes.rows; ++r)
    for (Index g = 0; g < grid.groups(); ++g) {
      const std::uint8_t* first = codes.row(r) + g * grid.group_size;
      const auto zero = static_cast<std::uint8_t>(grid.zero(r, g));
      frozen += std::all_of(first, first + grid.group_size,
                            [zero](std::uint8_t code) { return code == zero; });
    }
  return frozen;
}

#define CONSTRICTOR_INSTANTIATE(T)                       \
  template struct Fit<T>;                                \
  template void take_back_rises(const Fit<T>&, Fit<T>&); \
  template Index frozen_scales(View<const std::uint8_t>, const Grid<T>&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
