// SPDX-License-Identifier: Apache-2.0
#include "quant/polish.hpp"

#include <algorithm>

#include "kernels/polish_panel.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

/// Above this share of changed codes a product is cheaper than a row of H_in for each change.
constexpr double many = 0.15;

/// R[:, last:] -= dQ H_in[first:last, last:] for the columns to the right of a panel.
template <class T>
void spread_to_the_right(View<const T> change, View<const T> H, Index first, T weight, View<T> R) {
  const Index last = first + change.cols, rest = R.cols - last;
  if (rest == 0) return;
  Index changes = 0;
  for (Index r = 0; r < change.rows; ++r)
    changes += change.cols - std::count(change.row(r), change.row(r) + change.cols, T(0));
  if (static_cast<double>(changes) > many * static_cast<double>(change.size())) {
    linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, -weight, change,
                    H.block(first, last, change.cols, rest), T(1), R.cols_from(last, rest));
    return;
  }
  for (Index r = 0; r < change.rows; ++r)
    for (Index c = 0; c < change.cols; ++c) {
      if (change(r, c) == T(0)) continue;
      const T step = weight * change(r, c);
      const T* h = H.row(first + c) + last;
      T* right = R.row(r) + last;
      for (Index j = 0; j < rest; ++j) right[j] -= step * h[j];
    }
}

/// Rows [row, row + n) of the fit; all of one weight.
template <class T>
void polish_rows(Fit<T>& fit, Index row, Index n, const std::vector<std::int32_t>& group,
                 View<T> changes) {
  const Index in = fit.codes.cols();
  const auto H = fit.objective->H_in;
  const T weight = fit.weight(row);
  const std::vector<T> weights(static_cast<std::size_t>(n), weight);
  const auto R = fit.R.view().rows_from(row, n);
  const auto codes = fit.codes.view().rows_from(row, n);
  for (Index first = 0; first < in; first += kernels::sweep_panel) {
    const Index width = std::min(in - first, kernels::sweep_panel);
    const auto change = changes.block(0, first, n, width);
    kernels::polish_panel<T>(
        R.cols_from(first, width), H.block(first, first, width, width), weights.data(),
        {fit.grid.scale.view().rows_from(row, n), fit.grid.zero.view().rows_from(row, n),
         group.data() + first, fit.grid.top},
        codes.cols_from(first, width), change);
    spread_to_the_right<T>(change, H, first, weight, R);
  }
}

/// R[j] -= H_out[j,i] dQ_i H_in for the rows after position p, row i.
template <class T>
void spread_to_later_rows(Fit<T>& fit, Index p, const T* change) {
  const Index i = fit.row_at(p), in = fit.codes.cols();
  std::vector<T> moved(static_cast<std::size_t>(in));
  const auto& H_in = fit.objective->H_in;
  bool any = false;
  for (Index c = 0; c < in; ++c) {
    if (change[c] == T(0)) continue;
    any = true;
    const T* h = H_in.row(c);
    for (Index k = 0; k < in; ++k) moved[static_cast<std::size_t>(k)] += change[c] * h[k];
  }
  if (!any) return;
  for (Index later = p + 1; later < fit.codes.rows(); ++later) {
    const Index j = fit.row_at(later);
    const T weight = fit.objective->H_out(j, i);
    T* r = fit.R.row(j);
    for (Index k = 0; k < in; ++k) r[k] -= weight * moved[static_cast<std::size_t>(k)];
  }
}

}  // namespace

template <class T>
void polish(Fit<T>& fit) {
  if (fit.codes.size() == 0) return;
  fit.need_residual();
  const Fit<T> before = fit;
  const Index rows = fit.codes.rows(), in = fit.codes.cols();
  std::vector<std::int32_t> group(static_cast<std::size_t>(in));
  for (Index c = 0; c < in; ++c)
    group[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(c / fit.grid.group_size);
  auto changes = Matrix<T>::uninitialized(fit.two_sided() ? 1 : rows, in);
  if (fit.two_sided())
    for (Index p = 0; p < rows; ++p) {
      polish_rows<T>(fit, fit.row_at(p), 1, group, changes.view());
      spread_to_later_rows(fit, p, changes.row(0));
    }
  else
    polish_rows<T>(fit, 0, rows, group, changes.view());
  fit.codes_changed();
  take_back_rises(before, fit);
}

template void polish(Fit<float>&);
template void polish(Fit<double>&);

}  // namespace constrictor::quant
