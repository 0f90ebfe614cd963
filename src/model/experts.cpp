// SPDX-License-Identifier: Apache-2.0
#include "model/experts.hpp"

#include <algorithm>

#include "kernels/gate.hpp"
#include "kernels/route_tokens.hpp"
#include "model/linear.hpp"

namespace constrictor::model {
namespace {

/// The tokens of one expert and what share of their output it has.
struct Routed {
  std::vector<Index> tokens;  // in rising order
  std::vector<float> share;
};

/// Rounds `mlp_input` as the experts' products do.
std::vector<Routed> routed(const Step& step, View<float> mlp_input) {
  const ModelSpec& spec = step.spec;
  const Matrix<float> scores = LinearInput(mlp_input, step.products).times(step.block.router);
  Matrix<std::int32_t> experts(scores.rows(), spec.experts_per_token);
  Matrix<float> share(scores.rows(), spec.experts_per_token);
  kernels::route_tokens(scores.view(), spec.renormalize_experts, experts.view(), share.view());
  std::vector<Routed> all(static_cast<std::size_t>(spec.experts));
  for (Index t = 0; t < experts.rows(); ++t)
    for (Index i = 0; i < experts.cols(); ++i) {
      Routed& expert = all[static_cast<std::size_t>(experts(t, i))];
      expert.tokens.push_back(t);
      expert.share.push_back(share(t, i));
    }
  return all;
}

Matrix<float> rows_of(const Matrix<float>& x, const std::vector<Index>& tokens) {
  auto rows = Matrix<float>::uninitialized(static_cast<Index>(tokens.size()), x.cols());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    std::copy(x.row(tokens[i]), x.row(tokens[i]) + x.cols(), rows.row(static_cast<Index>(i)));
  return rows;
}

/// silu(W_gate m) ⊙ W_up m of some tokens, [tokens x feed_forward], ready for the down layer.
Matrix<float> widened(const Step& step, Index expert, const Matrix<float>& mlp_input,
                      const std::vector<Index>& tokens) {
  Matrix<float> m = rows_of(mlp_input, tokens);
  const LinearInput x(m.view(), step.products);
  const Matrix<float> gate = x.times(step.block.layer(Role::gate, expert));
  Matrix<float> wide = x.times(step.block.layer(Role::up, expert));
  kernels::gate(gate.view(), wide.view());
  return wide;
}

}  // namespace

void add_experts(const Step& step, BlockTrace& t) {
  CONSTRICTOR_REQUIRE(step.spec.gated && step.spec.activation == Activation::silu);
  const auto all = routed(step, t.mlp_input.view());
  const bool keep = step.keep == Keep::layer_inputs;
  if (keep) t.experts.resize(all.size());
  for (Index e = 0; e < step.spec.experts; ++e) {
    const Routed& mine = all[static_cast<std::size_t>(e)];
    Matrix<float> wide = widened(step, e, t.mlp_input, mine.tokens);
    LinearInput x(wide.view(), step.products);  // rounds `wide`, which statistics are formed of
    const Matrix<float> y = x.times(step.block.layer(Role::down, e));
    for (std::size_t i = 0; i < mine.tokens.size(); ++i) {
      float* out = t.output.row(mine.tokens[i]);
      const float* add = y.row(static_cast<Index>(i));
      for (Index c = 0; c < y.cols(); ++c) out[c] += mine.share[i] * add[c];
    }
    if (!keep) continue;
    ExpertTrace& kept = t.experts[static_cast<std::size_t>(e)];
    if (step.tokens_as == nullptr) {
      kept = {mine.tokens, std::move(wide)};
      continue;
    }
    kept.tokens = (*step.tokens_as)[static_cast<std::size_t>(e)].tokens;
    kept.down_input = widened(step, e, t.mlp_input, kept.tokens);
    LinearInput(kept.down_input.view(), step.products);  // rounded like the others
  }
}

}  // namespace constrictor::model
