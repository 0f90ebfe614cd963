// SPDX-License-Identifier: Apache-2.0
#include "schedule/operations.hpp"

#include <algorithm>

namespace constrictor::schedule {
namespace {

double real(Index n) { return static_cast<double>(n); }
double square(Index n) { return real(n) * real(n); }
double cube(Index n) { return real(n) * square(n); }

/// One token's share of Σ x~ x~' and Σ x x~'.
double gram(Index n) { return real(n) * real(n + 1); }
double cross(Index n) { return 2 * square(n); }

double value_sums(const SumShape& s, Index sequences, Index length) {
  const double L = real(length), paths = s.drift ? 2 : 1;
  double a_sequence = paths * real(s.heads * s.head_dim) * L * (L + 1);
  a_sequence += real(s.heads) * L * (L + 1) * (L + 2) / 3;
  if (s.drift) a_sequence += real(s.heads) * L * (L + 1) * (2 * L + 1) / 3;
  a_sequence += paths * real(s.kv_heads) * 2 * L * L * real(s.hidden);
  a_sequence += L * real(s.kv_heads) * (gram(s.hidden) + (s.drift ? cross(s.hidden) : 0));
  return real(sequences) * a_sequence;
}

}  // namespace

double linear_weights(const ModelSpec& m) {
  const double attention = real(m.hidden) * real(2 * (m.heads + m.kv_heads) * m.head_dim);
  const double mlp_layers = m.gated ? 3 : 2;
  const double mlps = m.experts > 0 ? real(m.experts_per_token) : 1;
  return attention + mlps * mlp_layers * real(m.hidden) * real(m.feed_forward);
}

double forward_operations(const ModelSpec& m, Index sequences, Index length) {
  const double attention = 2 * real(m.heads * m.head_dim) * real(length) * real(length + 1);
  return real(sequences) * (2 * linear_weights(m) * real(length) + attention);
}

double sum_operations(const SumShape& s, Index sequences, Index length) {
  const double tokens = real(sequences) * real(length);
  double operations = 0;
  const auto place = [&](bool wanted, Index n) {
    if (wanted) operations += tokens * (gram(n) + (s.drift ? cross(n) : 0));
  };
  place(s.attention_input, s.hidden);
  place(s.output_input, s.attention_width);
  place(s.mlp_input, s.hidden);
  place(s.down_input, s.feed_forward);
  if (s.row_metric) operations += tokens * real(s.heads + s.kv_heads) * gram(s.head_dim);
  if (s.softmax_metric) {  // stacks of queries and of keys, [d x keys] [keys x d] a position
    const Index counted = s.metric_positions == 0 ? length : std::min(length, s.metric_positions);
    const double d2 = square(s.head_dim), a_head = 2 * d2 * real(length) * real(counted);
    operations +=
        real(sequences) * real(s.heads) * (a_head + real(counted) * d2 * real(s.head_dim));
  }
  if (s.value_attention) operations += value_sums(s, sequences, length);
  return operations;
}

double factor_operations(const SideWork& side) {
  const double n3 = cube(side.inputs);
  double operations = side.factor ? 2 * n3 / 3 : 0;
  if (side.factor && side.pivoted) operations += n3 / 3;
  if (side.panel) operations += 4 * n3 / 3;
  if (side.shift) operations += side.panel ? n3 : 2 * n3;
  return operations;
}

double solve_operations(const QuantSpec& spec, const RowWork& work) {
  const double n2 = square(work.inputs), dn = real(work.head_rows) * real(work.inputs);
  double a_row = spec.method == Method::rtn ? 0 : real(spec.beam) * n2;
  if (spec.grid == GridSearch::hessian) a_row += 3 * n2;
  a_row += 6 * n2;
  const bool panel = work.drift && spec.drift == Drift::sequential && spec.method != Method::rtn;
  if (work.drift) a_row += 2 * n2;
  if (panel) a_row += n2;
  if (spec.method == Method::aespa)
    a_row += real(spec.rounding_steps) * (2 * n2 + (work.head_rows > 0 ? 2 * dn : 0)) + 4 * n2;
  a_row += 2 * n2 * real(spec.polish);
  if (work.head_rows > 0)
    a_row += dn + 8 * dn + 2 * dn * real(spec.refine_passes * (1 + spec.polish)) +
             4 * dn * real(spec.polish) + (panel ? 2 * n2 : 0);
  return real(work.rows) * a_row;
}

}  // namespace constrictor::schedule
