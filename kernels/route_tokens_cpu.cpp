// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/exp.hpp"
#include "kernels/route_tokens.hpp"
#include "kernels/rows.hpp"

namespace constrictor::kernels {

void route_tokens(View<const float> S, bool renormalize, View<std::int32_t> experts,
                  View<float> share) {
  const Index k = experts.cols;
  CONSTRICTOR_REQUIRE(k >= 1 && k <= S.cols && experts.rows == S.rows && share.rows == S.rows &&
                          share.cols == k,
                      k, S.rows, S.cols, experts.rows, share.rows, share.cols);
  for_rows(S.rows, [&](Index t) {
    const float* s = S.row(t);
    std::vector<std::int32_t> order(static_cast<std::size_t>(S.cols));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(),
                      [s](std::int32_t a, std::int32_t b) {
                        return s[a] > s[b] || (s[a] == s[b] && a < b);
                      });
    const float largest = s[order.front()];
    float of_all = 0, of_chosen = 0;
    for (Index e = 0; e < S.cols; ++e) of_all += fast_exp(s[e] - largest);
    for (Index i = 0; i < k; ++i) {
      experts(t, i) = order[static_cast<std::size_t>(i)];
      share(t, i) = fast_exp(s[experts(t, i)] - largest) / of_all;
      of_chosen += share(t, i);
    }
    if (renormalize)
      for (Index i = 0; i < k; ++i) share(t, i) /= of_chosen;
  });
}

}  // namespace constrictor::kernels
