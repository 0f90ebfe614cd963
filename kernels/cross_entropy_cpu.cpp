// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "kernels/cross_entropy.hpp"
#include "kernels/exp.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {
namespace {

float largest_of(const float* y, Index count) {
  float largest = y[0];
#pragma omp simd reduction(max : largest)
  for (Index v = 0; v < count; ++v) largest = y[v] > largest ? y[v] : largest;
  return largest;
}

/// Σ_v e^{y_v - largest}
double sum_of_exp(const float* y, Index count, float largest) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index v = 0; v < count; ++v) sum += static_cast<double>(fast_exp(y[v] - largest));
  return sum;
}

}  // namespace

void cross_entropy(View<const float> Y, std::span<const std::int32_t> targets,
                   std::span<double> nll) {
  CONSTRICTOR_REQUIRE(static_cast<Index>(targets.size()) == Y.rows && targets.size() == nll.size(),
                      Y.rows, targets.size(), nll.size());
  for_rows(Y.rows, [&](Index row) {
    const auto i = static_cast<std::size_t>(row);
    CONSTRICTOR_REQUIRE(targets[i] >= 0 && targets[i] < Y.cols, targets[i], Y.cols, row);
    const float* y = Y.row(row);
    const float largest = largest_of(y, Y.cols);
    nll[i] =
        std::log(sum_of_exp(y, Y.cols, largest)) + (static_cast<double>(largest) - y[targets[i]]);
  });
}

void divergence(View<const float> P, View<const float> Q, const Divergence& found) {
  const Index vocabulary = P.cols;
  const auto rows = static_cast<std::size_t>(P.rows);
  CONSTRICTOR_REQUIRE(P.rows == Q.rows && vocabulary == Q.cols, P.rows, P.cols, Q.rows, Q.cols);
  CONSTRICTOR_REQUIRE(found.kl.size() == rows && found.agree.size() == rows, rows, found.kl.size(),
                      found.agree.size());
  CONSTRICTOR_REQUIRE(found.p_log_sum.size() == rows && found.q_log_sum.size() == rows, rows,
                      found.p_log_sum.size(), found.q_log_sum.size());
  CONSTRICTOR_REQUIRE(rows == 0 || vocabulary > 0, vocabulary);
  for_rows(P.rows, [&](Index row) {
    const auto i = static_cast<std::size_t>(row);
    const float *p = P.row(row), *q = Q.row(row);
    const float p_largest = largest_of(p, vocabulary), q_largest = largest_of(q, vocabulary);
    double p_sum = 0, weighted = 0;  // Σ e_v,  Σ e_v (P_v - Q_v), both with e_v = e^{P_v - largest}
#pragma omp simd reduction(+ : p_sum, weighted)
    for (Index v = 0; v < vocabulary; ++v) {
      const auto e = static_cast<double>(fast_exp(p[v] - p_largest));
      p_sum += e;
      weighted += e * (static_cast<double>(p[v]) - q[v]);
    }
    found.p_log_sum[i] = std::log(p_sum) + p_largest;
    found.q_log_sum[i] = std::log(sum_of_exp(q, vocabulary, q_largest)) + q_largest;
    found.kl[i] = weighted / p_sum - found.p_log_sum[i] + found.q_log_sum[i];
    const auto first = [vocabulary](const float* y, float largest) {
      return std::find(y, y + vocabulary, largest) - y;
    };
    found.agree[i] = first(p, p_largest) == first(q, q_largest) ? 1 : 0;
  });
}

}  // namespace constrictor::kernels
