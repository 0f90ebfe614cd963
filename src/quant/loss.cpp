// SPDX-License-Identifier: Apache-2.0
#include "quant/loss.hpp"

#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

template <class T>
double dot(const T* a, const T* b, Index n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// a . (b - c)
template <class T>
double dot_difference(const T* a, const T* b, const T* c, Index n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i] - c[i]);
  return sum;
}

template <class T>
Matrix<T> difference(View<const T> A, View<const T> B) {
  auto out = Matrix<T>::uninitialized(A.rows, A.cols);
  for (Index r = 0; r < A.rows; ++r)
    for (Index c = 0; c < A.cols; ++c) out(r, c) = A(r, c) - B(r, c);
  return out;
}

}  // namespace

template <class T>
Objective<T>::Objective(View<const T> weight, View<const T> input_hessian, View<const T> D,
                        View<const T> output_hessian)
    : W(weight),
      H_in(input_hessian),
      H_out(output_hessian),
      weight_product_(linalg::product<T>(weight, input_hessian)) {
  if (D.size() > 0) drift_ = weighted(linalg::product<T>(W, D));
}

template <class T>
Matrix<T> Objective<T>::weighted(Matrix<T> M) const {
  return H_out.size() > 0 ? linalg::product<T>(H_out, M.view()) : std::move(M);
}

template <class T>
Matrix<T> Objective<T>::input_product(View<const T> M) const {
  return linalg::product<T>(M, H_in);
}

template <class T>
double Objective<T>::loss(View<const T> Q, View<const T> QH, std::vector<double>* row_loss,
                          Matrix<T>* R) const {
  auto gradient = weighted(difference<T>(QH, weight_product_.view()));
  double total = 0;
  if (row_loss != nullptr) row_loss->clear();
  for (Index r = 0; r < W.rows; ++r) {
    double row = dot_difference(gradient.row(r), Q.row(r), W.row(r), W.cols);
    if (!drift_.empty()) row -= 2 * dot_difference(drift_.row(r), Q.row(r), W.row(r), W.cols);
    if (row_loss != nullptr) row_loss->push_back(row);
    total += row;
  }
  if (R == nullptr) return total;
  for (Index i = 0; i < gradient.size(); ++i) {
    T& r = gradient.data()[i];
    r = drift_.empty() ? -r : drift_.data()[i] - r;
  }
  *R = std::move(gradient);
  return total;
}

template <class T>
Matrix<T> Objective<T>::residual(View<const T> QH) const {
  auto R = weighted(difference<T>(weight_product_.view(), QH));
  if (!drift_.empty())
    for (Index i = 0; i < R.size(); ++i) R.data()[i] += drift_.data()[i];
  return R;
}

template <class T>
double Objective<T>::scale() const {
  double total = 0;
  const auto sum_rows = [&](const Matrix<T>& gradient) {
    for (Index r = 0; r < W.rows; ++r) total += dot(gradient.row(r), W.row(r), W.cols);
  };
  sum_rows(H_out.size() > 0 ? weighted(Matrix<T>(weight_product_)) : weight_product_);
  return total;
}

template class Objective<float>;
template class Objective<double>;

}  // namespace constrictor::quant
