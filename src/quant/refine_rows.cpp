// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "linalg/gemm.hpp"
#include "quant/refine_steps.hpp"

namespace constrictor::quant {
namespace {

constexpr Index product_bytes = 16 << 20;  // of the matrices A_i that are held at a time
constexpr Index panel = 512;               // columns of one product: it stays in cache

/// A_i [groups x groups] of some rows, symmetric; one below the other.
template <class T>
class GroupProducts {
 public:
  explicit GroupProducts(const Fit<T>& fit)
      : fit_(fit), groups_(fit.grid.groups()), size_(fit.grid.group_size) {
    const Index one = groups_ * groups_ * static_cast<Index>(sizeof(T));
    batch_ = std::clamp<Index>(product_bytes / one, 16, 128);
    batch_ = std::min(batch_, fit.codes.rows());
    A_ = Matrix<T>::uninitialized(batch_ * groups_, groups_);
    Y_ = Matrix<T>::uninitialized(batch_, size_ * std::max<Index>(1, panel / size_));
  }
  Index batch() const { return batch_; }

  void form(Index first, Index rows) {
    if (groups_ == 1) {
      for (Index r = 0; r < rows; ++r)
        A_(r, 0) = dot(fit_.ZH.row(first + r), fit_.Z.row(first + r), size_);
      return;
    }
    const auto Z = fit_.Z.view().rows_from(first, rows);
    for (Index g = 0; g < groups_; ++g)
      for (Index c = g * size_; c < Z.cols; c += Y_.cols()) {
        const auto Y = Y_.view().block(0, 0, rows, std::min(Y_.cols(), Z.cols - c));
        linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1),
                        Z.cols_from(g * size_, size_),
                        fit_.objective->H_in.block(g * size_, c, size_, Y.cols), T(0), Y);
        for (Index r = 0; r < rows; ++r)
          for (Index k = 0; k < Y.cols; k += size_) {
            const Index h = (c + k) / size_;
            A_(r * groups_ + g, h) = A_(r * groups_ + h, g) =
                dot<T>(Y.row(r) + k, Z.row(r) + c + k, size_);
          }
      }
  }
  View<const T> operator()(Index row) const { return A_.view().rows_from(row * groups_, groups_); }

 private:
  const Fit<T>& fit_;
  Index groups_, size_, batch_;
  Matrix<T> A_, Y_;
};

/// One pass over the groups of one row; by how much it lowers L.
template <class T>
double pass_over_groups(View<const T> A, T* slope, T* scale) {
  double gain = 0;
  for (Index g = 0; g < A.rows; ++g) {
    const T curvature = A(g, g);
    if (!(curvature > T(0))) continue;
    const T step = slope[g] / curvature;
    gain += static_cast<double>(slope[g]) * static_cast<double>(step);
    scale[g] += step;
    const T* a = A.row(g);
    for (Index h = 0; h < A.cols; ++h) slope[h] -= step * a[h];
  }
  return gain;
}

}  // namespace

template <class T>
std::vector<double> refine_rows(Fit<T>& fit, const RefineSettings& settings,
                                std::vector<double>& row_gain) {
  const Index rows = fit.codes.rows();
  std::vector<double> by_pass(static_cast<std::size_t>(settings.passes), 0.);
  row_gain.assign(static_cast<std::size_t>(rows), 0.);
  auto slope = slopes_of(fit);
  GroupProducts<T> products(fit);
  for (Index first = 0; first < rows; first += products.batch()) {
    const Index count = std::min(products.batch(), rows - first);
    products.form(first, count);
    for (Index r = first; r < first + count; ++r) {
      double& total = row_gain[static_cast<std::size_t>(r)];
      for (double& of_pass : by_pass) {
        const double gain =
            pass_over_groups<T>(products(r - first), slope.row(r), fit.grid.scale.row(r));
        total += gain;
        of_pass += gain;
        if (gain < settings.gain * total) break;
      }
    }
  }
  return by_pass;
}

template std::vector<double> refine_rows(Fit<float>&, const RefineSettings&, std::vector<double>&);
template std::vector<double> refine_rows(Fit<double>&, const RefineSettings&, std::vector<double>&);

}  // namespace constrictor::quant
