// SPDX-License-Identifier: Apache-2.0
#include "schedule/cost.hpp"

namespace constrictor::schedule {

double factor_cost(Index inputs, Order order) {
  const auto n = static_cast<double>(inputs);
  // potrf 1/3, inverse 1/3, second factor 1/3
  return n * n * n * (order == Order::pivoted ? 4. / 3 : 1.);
}

double rows_cost(const QuantSpec& spec, Index rows, Index inputs) {
  const auto n = static_cast<double>(inputs);
  constexpr double candidates = 200;  // 100 shrinks x 2 zeros, each a pass over the row
  double per_row = candidates * n;
  if (spec.grid == GridSearch::hessian) per_row += 16 * n * n;  // candidates that pruning leaves
  if (spec.method != Method::rtn)                               // sweep and trailing products
    per_row += static_cast<double>(spec.beam) * n * n / 2;
  if (spec.drift != Drift::none) per_row += n * n;  // the panel of P rides along
  if (spec.method == Method::aespa)                 // a product by H_in each
    per_row += static_cast<double>(spec.rounding_steps) * n * (n + 60);
  const auto rounds = static_cast<double>(spec.polish);
  if (spec.refine_passes > 0) per_row += (1 + rounds) * n * n;  // W H of the refinement
  per_row += rounds * n * n;                                    // of the polish
  if (spec.refine_zeros) per_row += (1 + rounds) * n * n;       // of the zeros tried
  per_row += n * n;                                             // losses
  return static_cast<double>(rows) * per_row;
}

}  // namespace constrictor::schedule
