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
#include "pipeline/layer_inputs.hpp"

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

/// Sizes that the items below share.
struct Sizes {
  double block_weights = 0;  // numbers in the linear layers of a block
  double ends = 0;           // embeddings and head
  double trace_width = 0;    // numbers per token that one forward pass keeps
  SumShape shape;
};

Sizes sizes_of(const Job& job) {
  const ModelSpec& m = job.model();
  Sizes s;
  for (const Role role : job.roles)
    s.block_weights +=
        static_cast<double>(layer_inputs(m, role)) * static_cast<double>(layer_outputs(m, role));
  s.ends = static_cast<double>(m.vocabulary) * static_cast<double>(m.embedding_width) *
           (m.tied_embeddings ? 1 : 2);
  const Index gate = m.family == Family::llama ? 2 : 1;
  s.trace_width = static_cast<double>(4 * m.hidden + 2 * m.heads * m.head_dim +
                                      2 * m.kv_heads * m.head_dim + gate * m.feed_forward);
  s.shape = sum_shape(m, job.specs.front(), job.roles);
  return s;
}

/// Bytes of all factored sides of one block, held by every rank: H, U, and with drift D, P, shift.
double side_bytes(const Sizes& s, double* largest) {
  const SumShape& k = s.shape;
  const double copies = k.drift ? 4.5 : 2;
  *largest = squared(std::max({k.hidden, k.attention_width, k.feed_forward}));
  return 4 * copies *
         (2 * squared(k.hidden) + squared(k.attention_width) + squared(k.feed_forward) +
          (k.value_attention ? static_cast<double>(k.kv_heads) * squared(k.hidden) : 0));
}

std::vector<MemoryItem> statistics_moment(const Job& job, const Sizes& s,
                                          const calib::Shard& shard) {
  const double weight_bytes = job.products == Products::bfloat16 ? 6 : 4;
  const double tokens = static_cast<double>(shard.chunk_sequences * shard.length),
               L = static_cast<double>(shard.length);
  const double alive = job.spec.run.reduction == Reduction::exact
                           ? static_cast<double>(comm::most_sums_alive(shard.lanes, shard.mine)) + 1
                           : 1;
  std::vector<MemoryItem> items;
  items.push_back({"sums of statistics", alive * static_cast<double>(bytes_of_sums(s.shape))});
  items.push_back({"one chunk on its way through a block",
                   4 * tokens * s.trace_width * (s.shape.drift ? 2 : 1) * 1.3});
  if (s.shape.value_attention)
    items.push_back(
        {"attention probabilities",
         4 * static_cast<double>(std::min<Index>(thread_count(), shard.chunk_sequences)) * L * L *
                 (s.shape.drift ? 4 : 2) +
             4 * tokens * static_cast<double>(job.model().hidden) * (s.shape.drift ? 2 : 1)});
  items.push_back({"weights of two blocks", 2 * s.block_weights * weight_bytes});
  return items;
}

std::vector<MemoryItem> solver_moment(const Job& job, const Sizes& s) {
  const double weight_bytes = job.products == Products::bfloat16 ? 6 : 4;
  double largest = 0;
  std::vector<MemoryItem> items;
  items.push_back({"sums of statistics", static_cast<double>(bytes_of_sums(s.shape))});
  items.push_back({"damped and factored Hessians", side_bytes(s, &largest)});
  items.push_back({"one factorization", 4 * 4 * largest});
  const double width = static_cast<double>(std::max(s.shape.hidden, s.shape.feed_forward));
  items.push_back(
      {"rows in the solvers", static_cast<double>(thread_count()) * 128 * width * 4 * 12});
  items.push_back({"codes of the block", 3 * s.block_weights});
  items.push_back({"weights of two blocks", 2 * s.block_weights * weight_bytes});
  return items;
}

std::vector<MemoryItem> evaluation_moment(const Job& job, const Sizes& s, int ranks) {
  const bool bf16 = job.products == Products::bfloat16;
  double states = 0;
  for (const Tokens& set : job.evaluation)
    states += std::ceil(static_cast<double>(set.sequences()) / ranks) *
              static_cast<double>(set.length() * job.model().hidden) * 4;
  std::vector<MemoryItem> items;
  items.push_back({"residual streams of the windows", states * (job.spec.evaluation.kl ? 4 : 2)});
  items.push_back({"embedding and head", s.ends * (bf16 ? 6 : 4)});
  items.push_back({"one chunk on its way through a block", 4 * 2048 * s.trace_width});
  items.push_back({"weights of a block", s.block_weights * (bf16 ? 10 : 8)});
  return items;
}

double total(const std::vector<MemoryItem>& items) {
  double sum = 0;
  for (const auto& item : items) sum += item.bytes;
  return sum;
}

double predicted_flops(const Job& job, const Sizes& s) {
  const double tokens = static_cast<double>(job.calibration.ids.size()),
               L = static_cast<double>(job.calibration.length());
  const SumShape& k = s.shape;
  const double kinds = k.drift ? 3 : 1;
  const double forward = 2 * tokens * s.block_weights;
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
                  (s.block_weights * static_cast<double>(job.model().blocks) + s.ends) *
                  (job.spec.evaluation.kl ? 2 : 1);
  return static_cast<double>(job.model().blocks) * (3 * forward + statistics + solve) + evaluation;
}

}  // namespace

Prediction predict(const comm::Communicator& ranks, const Job& job) {
  const Sizes s = sizes_of(job);
  const auto shard = calib::shard_of(job.calibration.sequences(), job.calibration.length(),
                                     job.spec.run.lanes, ranks.size(), ranks.rank());
  const double program =
      90e6 + 12e6 * thread_count();  // code, MPI, generated kernels, buffers of the libraries
  const double states =
      2. * 4 * static_cast<double>(shard.my_sequences() * shard.length * job.model().hidden);

  auto gather = statistics_moment(job, s, shard), solver = solver_moment(job, s),
       evaluation = evaluation_moment(job, s, ranks.size());
  for (auto* moment : {&gather, &solver})
    moment->push_back({"residual streams of the calibration sequences", states});
  for (auto* moment : {&gather, &solver, &evaluation})
    moment->push_back({"program and libraries", program});
  Prediction p;
  p.fullest = "statistics", p.memory = gather;
  if (total(solver) > total(p.memory)) p.fullest = "solvers", p.memory = solver;
  if (total(evaluation) > total(p.memory)) p.fullest = "evaluation", p.memory = evaluation;
  p.bytes_per_rank = ranks.max(total(p.memory));
  p.bytes_per_node = p.bytes_per_rank * ranks.node_size();

  double row_bytes = 0;
  for (const Role role : job.roles)
    row_bytes += 16. * static_cast<double>(layer_outputs(job.model(), role) +
                                           layer_inputs(job.model(), role));
  p.disk_bytes =
      static_cast<double>(job.model().blocks) * (0.4 * s.block_weights + row_bytes + 2e5);
  if (job.spec.run.keep.statistics)
    p.disk_bytes +=
        static_cast<double>(job.model().blocks) * 2 * static_cast<double>(bytes_of_sums(s.shape));
  p.measured_gflops = measured_flops() * 1e-9;
  p.seconds = 1 + predicted_flops(job, s) / (0.6 * p.measured_gflops * 1e9 * ranks.size());
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
