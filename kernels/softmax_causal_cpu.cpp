// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "kernels/exp.hpp"
#include "kernels/rows.hpp"
#include "kernels/softmax_causal.hpp"

namespace constrictor::kernels {

void softmax_causal(View<float> S, Index first_position, const AttentionForm& form) {
  CONSTRICTOR_REQUIRE(first_position >= 0, first_position);
  if (S.size() == 0) return;
  for_rows(S.rows, [&](Index i) {
    const Index seen = std::min(first_position + i + 1, S.cols);
    const Index first = std::min(form.first_key(first_position + i), seen - 1);
    float* s = S.row(i);
    std::fill(s, s + first, 0.0f);
    if (form.soft_cap > 0)
      for (Index j = first; j < seen; ++j) s[j] = form.soft_cap * std::tanh(s[j] / form.soft_cap);
    float largest = s[first];
#pragma omp simd reduction(max : largest)
    for (Index j = first; j < seen; ++j) largest = s[j] > largest ? s[j] : largest;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index j = first; j < seen; ++j) {
      const float e = fast_exp(s[j] - largest);
      s[j] = e;
      sum += e;
    }
    const float scale = 1.0f / sum;
#pragma omp simd
    for (Index j = first; j < seen; ++j) s[j] *= scale;
    std::fill(s + seen, s + S.cols, 0.0f);
  });
}

}  // namespace constrictor::kernels
