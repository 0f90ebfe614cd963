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
    : W(weight), H_in(input_hessian), H_out(output_hessian) {
  if (D.size() > 0) drift_ = weighted(linalg::product<T>(W, D));
}

template <class T>
Matrix<T> Objective<T>::weighted(Matrix<T> M) const {
  return H_out.size() > 0 ? linalg::product<T>(H_out, M.view()) : std::move(M);
}

template <class T>
double Objective<T>::loss(View<const T> Q, std::vector<double>* row_loss) const {
  const auto dW = difference(Q, W);
  const auto gradient = weighted(linalg::product<T>(dW.view(), H_in));
  double total = 0;
  if (row_loss != nullptr) row_loss->clear();
  for (Index r = 0; r < W.rows; ++r) {
    double row = dot(gradient.row(r), dW.row(r), W.cols);
    if (!drift_.empty()) row -= 2 * dot(drift_.row(r), dW.row(r), W.cols);
    if (row_loss != nullptr) row_loss->push_back(row);
    total += row;
  }
  return total;
}

template <class T>
Matrix<T> Objective<T>::residual(View<const T> Q, double* loss) const {
  const auto step = difference(W, Q);  // -dW
  auto R = weighted(linalg::product<T>(step.view(), H_in));
  double total = 0;
  for (Index r = 0; r < W.rows; ++r) {
    total += dot(R.row(r), step.row(r), W.cols);
    if (drift_.empty()) continue;
    total += 2 * dot(drift_.row(r), step.row(r), W.cols);
    for (Index c = 0; c < W.cols; ++c) R(r, c) += drift_(r, c);
  }
  if (loss != nullptr) *loss = total;
  return R;
}

template <class T>
double Objective<T>::scale() const {
  const auto gradient = weighted(linalg::product<T>(W, H_in));
  double total = 0;
  for (Index r = 0; r < W.rows; ++r) total += dot(gradient.row(r), W.row(r), W.cols);
  return total;
}

template class Objective<float>;
template class Objective<double>;

}  // namespace constrictor::quant
