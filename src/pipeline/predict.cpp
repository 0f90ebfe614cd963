// SPDX-License-Identifier: Apache-2.0
#include "pipeline/predict.hpp"

#include <algorithm>
#include <cmath>

#include "calib/shard.hpp"
#include "comm/agree.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"
#include "core/timer.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::pipeline {
namespace {

double squared(Index n) { return static_cast<double>(n) * static_cast<double>(n); }

/// Multiply-adds x 2 per second of one rank, from a product that takes about 0.1 s.
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

double predicted_flops(const Job& job) {
  const double tokens = static_cast<double>(job.calibration.ids.size()),
               L = static_cast<double>(job.calibration.length());
  const SumShape k = largest_sum_shape(job);
  const double weights = block_weights(job), ends = end_weights(job.model());
  const double kinds = k.drift ? 3 : 1;
  const double forward = 2 * tokens * weights;
  double statistics =
      tokens * kinds *
      (2 * squared(k.hidden) + squared(k.attention_width) + squared(k.feed_forward));
  if (k.value_attention)
    statistics += tokens * static_cast<double>(k.kv_heads) * kinds *
                  (2 * L * static_cast<double>(k.hidden) + squared(k.hidden) +
                   L * L * static_cast<double>(k.heads / k.kv_heads) * 0.7);
  double solve = 0;
  for (const Role role : job.roles)
    solve += 2 * squared(layer_inputs(job.model(), role)) *
             static_cast<double>(layer_outputs(job.model(), role)) * (k.drift ? 16 : 12);
  double evaluation = 0;
  for (const Tokens& set : job.evaluation)
    evaluation += 2 * static_cast<double>(set.ids.size()) *
                  (weights * static_cast<double>(job.model().blocks) + ends) *
                  (job.spec.evaluation.kl ? 2 : 1);
  return static_cast<double>(job.model().blocks) * (3 * forward + statistics + solve) + evaluation;
}

}  // namespace

Prediction predict(const comm::Communicator& ranks, const Job& job) {
  const auto shard = calib::shard_of(job.calibration.sequences(), job.calibration.length(),
                                     job.spec.run.lanes, ranks.size(), ranks.rank());
  auto fullest = fullest_moment(job, shard, ranks.size());
  Prediction p;
  p.fullest = fullest.name;
  p.memory = std::move(fullest.items);
  p.bytes_per_rank = ranks.max(fullest.bytes);
  p.bytes_per_node = p.bytes_per_rank * ranks.node_size();

  double row_bytes = 0;
  for (const Role role : job.roles)
    row_bytes += 16. * static_cast<double>(layer_outputs(job.model(), role) +
                                           layer_inputs(job.model(), role));
  p.disk_bytes =
      static_cast<double>(job.model().blocks) * (0.4 * block_weights(job) + row_bytes + 2e5);
  if (job.spec.run.keep.statistics)
    p.disk_bytes += static_cast<double>(job.model().blocks) * 2 *
                    static_cast<double>(bytes_of_sums(largest_sum_shape(job)));
  p.measured_gflops = measured_flops() * 1e-9;
  p.seconds = 1 + predicted_flops(job) / (0.6 * p.measured_gflops * 1e9 * ranks.size());
  return p;
}

void require_memory(const comm::Communicator& ranks, const Prediction& prediction) {
  comm::agree(ranks, [&] {
    const double available = static_cast<double>(available_memory());
    if (prediction.bytes_per_node <= available) return;
    throw MemoryError(
        "not enough memory: " + bytes_text(prediction.bytes_per_node) + " predicted for the " +
        std::to_string(ranks.node_size()) + " ranks of this node (" +
        bytes_text(prediction.bytes_per_rank) + " each, most of it for " +
        std::max_element(prediction.memory.begin(), prediction.memory.end(),
                         [](const auto& a, const auto& b) { return a.bytes < b.bytes; })
            ->what +
        "), " + bytes_text(available) +
        " available; use fewer ranks a node or more nodes, quant.value_hessian: input, or fewer "
        "calibration.sequences; --force starts all the same");
  });
}

}  // namespace constrictor::pipeline
