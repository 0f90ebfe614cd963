// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "linalg/gemm.hpp"
#include "quant/refine_steps.hpp"

namespace constrictor::quant {
namespace {

constexpr Index batch = 16;  // rows whose products with H_in are formed together

/// The products of a batch of rows that one pass needs: y(k, g) = Z[i,g] H_in[g,:] for row number
/// k.
template <class T>
class RowProducts {
 public:
  explicit RowProducts(const Fit<T>& fit)
      : fit_(fit), groups_(fit.grid.groups()), size_(fit.grid.group_size) {
    if (groups_ == 1) return;  // they are the rows of Z H_in
    const Index rows = std::min(batch, fit.codes.rows());
    batch_ = Matrix<T>::uninitialized(rows, fit.codes.cols());
    Y_ = Matrix<T>::uninitialized(groups_ * rows, fit.codes.cols());
  }

  /// Takes the rows `rows[0..n)`.
  void form(const std::vector<Index>& rows) {
    rows_ = &rows;
    if (groups_ == 1) return;
    const auto n = static_cast<Index>(rows.size());
    for (Index k = 0; k < n; ++k) {
      const T* z = fit_.Z.row(rows[static_cast<std::size_t>(k)]);
      std::copy(z, z + fit_.Z.cols(), batch_.row(k));
    }
    for (Index g = 0; g < groups_; ++g)
      linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1),
                      batch_.view().block(0, g * size_, n, size_),
                      fit_.objective->H_in.rows_from(g * size_, size_), T(0),
                      Y_.view().rows_from(g * n, n));
  }
  const T* operator()(Index k, Index g) const {
    if (groups_ == 1) return fit_.ZH.row((*rows_)[static_cast<std::size_t>(k)]);
    return Y_.row(g * static_cast<Index>(rows_->size()) + k);
  }

 private:
  const Fit<T>& fit_;
  Index groups_, size_;
  const std::vector<Index>* rows_ = nullptr;
  Matrix<T> batch_, Y_;
};

/// One pass; `slope` [rows x groups] is kept current. By how much it lowers L.
template <class T>
double pass_over_head(Fit<T>& fit, RowProducts<T>& products, View<T> slope) {
  const Index rows = fit.Z.rows(), in = fit.Z.cols(), groups = fit.grid.groups(),
              size = fit.grid.group_size;
  const auto& H_out = fit.objective->H_out;
  const auto Z = fit.Z.view();
  std::vector<T> moved(static_cast<std::size_t>(in));  // dQ_i H_in
  double gain = 0;
  for (Index first = 0; first < rows; first += batch) {
    std::vector<Index> members;
    for (Index p = first; p < std::min(rows, first + batch); ++p) members.push_back(fit.row_at(p));
    products.form(members);
    for (std::size_t member = 0; member < members.size(); ++member) {
      const Index i = members[member], k = static_cast<Index>(member);
      const T weight = H_out(i, i);
      std::fill(moved.begin(), moved.end(), T(0));
      for (Index g = 0; g < groups; ++g) {
        const T* y = products(k, g);
        const T curvature = weight * dot<T>(y + g * size, Z.row(i) + g * size, size);
        if (!(curvature > T(0))) continue;
        const T step = slope(i, g) / curvature;
        gain += static_cast<double>(slope(i, g)) * static_cast<double>(step);
        fit.grid.scale(i, g) += step;
        for (Index other = 0; other < groups; ++other)
          slope(i, other) -=
              weight * step * dot<T>(y + other * size, Z.row(i) + other * size, size);
        for (Index c = 0; c < in; ++c) moved[static_cast<std::size_t>(c)] += step * y[c];
      }
      for (Index j = 0; j < rows; ++j) {  // R[j] -= H_out[j,i] dQ_i H_in
        if (j == i) continue;
        for (Index g = 0; g < groups; ++g)
          slope(j, g) -= H_out(j, i) * dot<T>(moved.data() + g * size, Z.row(j) + g * size, size);
      }
    }
  }
  return gain;
}

}  // namespace

template <class T>
std::vector<double> refine_head(Fit<T>& fit, const RefineSettings& settings) {
  std::vector<double> by_pass(static_cast<std::size_t>(settings.passes), 0.);
  auto slope = slopes_of(fit);
  RowProducts<T> products(fit);
  double total = 0;
  for (double& gain : by_pass) {
    gain = pass_over_head<T>(fit, products, slope.view());
    total += gain;
    if (gain < settings.gain * total) break;
  }
  return by_pass;
}

template std::vector<double> refine_head(Fit<float>&, const RefineSettings&);
template std::vector<double> refine_head(Fit<double>&, const RefineSettings&);

}  // namespace constrictor::quant
