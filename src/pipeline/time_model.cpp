// SPDX-License-Identifier: Apache-2.0
#include "pipeline/time_model.hpp"

#include <algorithm>
#include <cmath>

#include "linalg/gemm.hpp"
#include "pipeline/memory_model.hpp"

namespace constrictor::pipeline {
namespace {

double real(Index n) { return static_cast<double>(n); }
double squared(Index n) { return real(n) * real(n); }

/// All counts are operations of float32 products that would take as long.
class Work {
 public:
  explicit Work(const Job& job)
      : job_(job),
        model_(job.model()),
        shape_(largest_sum_shape(job)),
        weights_(block_weights(job)) {
    if (job.products == Products::bfloat16 && linalg::has_native_bfloat16()) faster_ = 1.5;
  }

  /// A token's way through one block, among the `length` tokens of its sequence.
  double forward(double length) const {
    return products(2 * weights_) + attention(length) +
           60 * real(4 * model_.hidden + 3 * model_.feed_forward);
  }
  /// The passes that stop at the inputs of the first three sublayers, for one token: query, key and
  /// value three times, attention twice, the output layer once.
  double again(double length) const {
    const double queries = real(model_.heads * model_.head_dim), hidden = real(model_.hidden);
    const double keys = real(model_.kv_heads * model_.head_dim);
    return 2 * attention(length) + products(2 * hidden * (3 * (queries + 2 * keys) + queries));
  }
  /// What a token adds to a block's sums.
  double statistics(double length, bool drift) const {
    const double kinds =
        drift ? 3 : 1;  // half a square for the Gram sum, a whole one for the drift
    double sums = kinds * (2 * squared(model_.hidden) + squared(shape_.attention_width) +
                           squared(model_.feed_forward));
    double metric = 0;
    if (shape_.softmax_metric) {
      const double wanted = real(shape_.metric_positions);
      const double counted = wanted == 0 ? length : std::min(length, wanted);
      metric = real(model_.heads) * counted * 4 * squared(model_.head_dim) / 0.5;  // float32
    }
    if (!shape_.value_attention) return products(sums) + metric;
    const double paths = drift ? 2 : 1, heads = real(model_.kv_heads);
    sums += heads * kinds * squared(model_.hidden);
    sums +=
        paths * (real(model_.heads) * length * length + heads * 2 * length * real(model_.hidden));
    return products(sums) + paths * attention(length) + metric;
  }
  /// Factors of all input sides of a block.
  double factor(bool drift) const {
    const auto side = [&](Index n) { return squared(n) * real(n) * (drift ? 4 : 1.5) / 0.3; };
    return side(model_.hidden) * (2 + (shape_.value_attention ? real(model_.kv_heads) : 0)) +
           side(shape_.attention_width) + side(model_.feed_forward);
  }
  /// Grid search, sweep and refinement of a block's rows.
  double solve(const std::vector<QuantSpec>& specs) const {
    double sum = 0;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const Index in = layer_inputs(model_, job_.roles[i]),
                  out = layer_outputs(model_, job_.roles[i]);
      const bool search = specs[i].grid == GridSearch::hessian;
      sum += real(out) *
             ((specs[i].method == Method::aespa
                   ? real(specs[i].rounding_steps) * (products(2 * squared(in)) + 100 * real(in))
                   : 0) +
              (search ? 40 * squared(in) + 30e3 * real(in) : 20 * squared(in) + 15e3 * real(in)));
    }
    return sum;
  }
  /// Logits of one token, and what is made of them.
  double head() const { return products(2 * end_weights(model_)) + 40 * real(model_.vocabulary); }

 private:
  double products(double operations) const { return operations / (0.7 * faster_); }
  /// Causal scores, softmax and weighted sum of one token.
  double attention(double length) const {
    return real(model_.heads) * length * (2 * real(model_.head_dim) / 0.5 + 40);
  }

  const Job& job_;
  const ModelSpec& model_;
  SumShape shape_;
  double weights_, faster_ = 1;
};

}  // namespace

double measured_flops() {
  constexpr Index n = 768;
  Matrix<float> A(n, n), B(n, n), C(n, n);
  A.fill(0.5f);
  B.fill(0.25f);
  double best = 1e30;
  for (int i = 0; i < 4; ++i) {
    const double start = wall_seconds();
    linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::no, 1.f, A.view(), B.view(), 0.f,
                        C.view());
    best = std::min(best, wall_seconds() - start);
  }
  return 2. * std::pow(static_cast<double>(n), 3) / best;
}

SecondsByPhase predicted_seconds(const Job& job, double flops, int ranks) {
  const Work work(job);
  const double tokens = real(job.calibration.ids.size()), length = real(job.calibration.length());
  const bool sublayer = job.spec.quant.gather == Gather::sublayer;
  const bool drifts = largest_sum_shape(job).drift || sublayer;
  SecondsByPhase operations;
  for (Index b = 0; b < job.model().blocks; ++b) {
    const bool drift = (b > 0 || sublayer) && drifts;
    operations["statistics"] +=
        tokens * ((b > 0 ? 2 : 1) * work.forward(length) + work.statistics(length, drift));
    if (sublayer) operations["statistics"] += tokens * 2 * work.again(length);
    operations["factor"] += work.factor(drift);
    operations["solve"] += work.solve(job.specs[static_cast<std::size_t>(b)]);
    operations["advance"] += tokens * work.forward(length);
    if (job.spec.quant.budget
            .on()) {  // measure_widths.cpp: solvers at every width, each layer alone
      const auto& specs = job.specs[static_cast<std::size_t>(b)];
      operations["widths"] +=
          tokens * (1 + real(job.roles.size())) * work.forward(length) +
          tokens * work.statistics(length, false) + work.factor(false) +
          real(static_cast<Index>(job.spec.quant.budget.choices.size())) * work.solve(specs);
    }
  }
  const double paths = job.spec.evaluation.kl ? 2 : 1;
  for (const Tokens& set : job.evaluation)
    operations["evaluation"] +=
        paths * real(set.ids.size()) *
        (real(job.model().blocks) * work.forward(real(set.length())) + work.head());
  SecondsByPhase seconds;
  for (const auto& [phase, count] : operations) seconds[phase] = count / flops / ranks;
  seconds["start and files"] = 0.3 + 0.03 * real(job.model().blocks);
  return seconds;
}

}  // namespace constrictor::pipeline
