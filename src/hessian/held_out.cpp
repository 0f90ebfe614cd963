// SPDX-License-Identifier: Apache-2.0
#include "hessian/held_out.hpp"

#include <algorithm>

#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

double sum_of_products(const Matrix<float>& A, const Matrix<float>& B) {
  double sum = 0;
  for (Index i = 0; i < A.size(); ++i)
    sum += static_cast<double>(A.data()[i]) * static_cast<double>(B.data()[i]);
  return sum;
}

}  // namespace

double best_alpha(const std::vector<View<const float>>& weights, View<const float> S,
                  const InputStatistics& fold) {
  double along = 0, square = 0;
  for (const auto& W : weights) {
    const auto step = linalg::product<float>(W, S);
    along += sum_of_products(step, linalg::product<float>(W, fold.D.view()));
    square += sum_of_products(step, linalg::product<float>(step.view(), fold.H.view()));
  }
  return square > 0 ? std::clamp(along / square, 0., 1.) : 0.;
}

void set_alpha(double alpha, InputSide<float>& side) {
  for (Matrix<float>* m : {&side.D, &side.shift, &side.P})
    for (float& v : m->values()) v *= static_cast<float>(alpha);
  side.alpha = alpha;
}

}  // namespace constrictor::hessian
