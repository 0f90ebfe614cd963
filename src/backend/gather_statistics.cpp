// SPDX-License-Identifier: Apache-2.0
#include "backend/gather_statistics.hpp"

#include <algorithm>
#include <cmath>

#include "comm/agree.hpp"
#include "core/stop_flag.hpp"
#include "hessian/accumulate.hpp"
#include "hessian/sum_over_ranks.hpp"
#include "model/forward.hpp"

namespace constrictor::backend {
namespace {

using calib::Chunk;
using hessian::TravellingSums;

void require_finite(const Matrix<float>& m, const char* what, Index block, const Chunk& chunk,
                    Index length) {
  for (Index r = 0; r < m.rows(); ++r) {
    float sum = 0;  // NaN and Inf survive a sum of |v| * 0
    const float* row = m.row(r);
#pragma omp simd reduction(+ : sum)
    for (Index c = 0; c < m.cols(); ++c) sum += row[c] * 0.f;
    if (sum != 0.f || std::isnan(sum))
      throw nonfinite(block, what, chunk.first_sequence + r / length);
  }
}

void check_trace(const BlockTrace& trace, Index block, const Chunk& chunk, Index length) {
  require_finite(trace.attention_input, "the input of the attention layers", block, chunk, length);
  require_finite(trace.output_input, "the attention output", block, chunk, length);
  require_finite(trace.mlp_input, "the input of the MLP", block, chunk, length);
  require_finite(trace.down_input, "the input of the last MLP layer", block, chunk, length);
  require_finite(trace.output, "the block's output", block, chunk, length);
}

/// One chunk: forward on x~ and x, sums, x moves on.
void gather_chunk(const ModelSpec& model, const Block& block, const GatherSettings& settings,
                  const Chunk& chunk, calib::HiddenStates& states, BlockSums& sums,
                  KeptInputs* kept) {
  const calib::Shard& shard = states.shard();
  const auto forward = [&](Matrix<float>& of, model::Keep keep) {
    return model::forward(model, block, states.rows(of, chunk), shard.length, settings.products,
                          keep);
  };
  const Index first_token = chunk.first_sequence * shard.length;
  const bool keep_now = kept != nullptr && kept->wants(first_token);
  const BlockTrace quant = forward(states.quant, model::Keep::layer_inputs);
  check_trace(quant, block.index, chunk, shard.length);
  const auto move_on = [&](const BlockTrace& trace) {
    const auto target = states.rows(states.full, chunk);
    std::copy(trace.output.data(), trace.output.data() + trace.output.size(), target.data);
  };
  if (states.equal) {
    hessian::accumulate(settings.shape, quant, nullptr, shard.length, settings.products, sums);
    if (keep_now) kept->append(block, quant, quant, first_token);
    return move_on(quant);
  }
  const bool inputs_wanted = settings.shape.drift || keep_now;
  const BlockTrace full =
      forward(states.full, inputs_wanted ? model::Keep::layer_inputs : model::Keep::output_only);
  require_finite(full.output, "the full-precision output", block.index, chunk, shard.length);
  hessian::accumulate(settings.shape, quant, settings.shape.drift ? &full : nullptr, shard.length,
                      settings.products, sums);
  if (keep_now) kept->append(block, quant, full, first_token);
  move_on(full);
}

}  // namespace

BlockSums gather_statistics(const comm::Communicator& ranks, const ModelSpec& model,
                            const Block& block, const GatherSettings& settings,
                            calib::HiddenStates& states, SecondsByPhase& seconds,
                            KeptInputs* kept) {
  const calib::Shard& shard = states.shard();
  const auto blank = [&] { return TravellingSums(settings.shape); };
  const auto add_lane = [&](Index lane, BlockSums& sums) {
    for (const Chunk& chunk : calib::chunks_of_lane(shard, lane)) {
      leave_when_asked();
      gather_chunk(model, block, settings, chunk, states, sums, kept);
    }
  };
  if (settings.reduction == Reduction::fast) {
    auto sums = blank();
    {
      const PhaseTimer timer(seconds, "statistics");
      comm::agree(ranks, [&] {
        for (Index lane = shard.mine.first; lane < shard.mine.last; ++lane)
          add_lane(lane, sums.sums);
        if (sums.sums.tokens[0] == 0) sums.sums.clear();
      });
    }
    const PhaseTimer timer(seconds, "reduce");
    if (kept != nullptr && kept->tokens > 0) kept->collect(ranks, block);
    comm::fast_sum(ranks, comm::parts_of(sums));
    return std::move(sums.sums);
  }
  comm::LaneTree<TravellingSums> tree(ranks, shard.lanes, blank);
  {
    const PhaseTimer timer(seconds, "statistics");
    comm::agree(ranks, [&] {
      for (Index lane = shard.mine.first; lane < shard.mine.last; ++lane) {
        auto sums = tree.blank();
        sums.sums.tokens[0] = 0;
        add_lane(lane, sums.sums);
        if (sums.sums.tokens[0] == 0) sums.sums.clear();  // fewer sequences than lanes
        tree.push(std::move(sums));
      }
    });
  }
  const PhaseTimer timer(seconds, "reduce");
  if (kept != nullptr && kept->tokens > 0) kept->collect(ranks, block);
  return std::move(tree.finish_everywhere().sums);
}

OutputError advance_quantized(const comm::Communicator& ranks, const ModelSpec& model,
                              const Block& block, Products products, calib::HiddenStates& states,
                              SecondsByPhase& seconds) {
  const calib::Shard& shard = states.shard();
  const PhaseTimer timer(seconds, "advance");
  // Σ (x~ - x)², Σ x², Σ x~², Σ x x~ per sequence, added in the order of the sequences on every
  // rank.
  const auto per_sequence = static_cast<std::size_t>(shard.my_sequences());
  std::vector<double> sums(per_sequence * 4, 0.);
  comm::agree(ranks, [&] {
    for (const Chunk& chunk : calib::my_chunks(shard)) {
      leave_when_asked();
      const auto rows = states.rows(states.quant, chunk);
      const auto trace =
          model::forward(model, block, rows, shard.length, products, model::Keep::output_only);
      require_finite(trace.output, "the quantized block's output", block.index, chunk,
                     shard.length);
      std::copy(trace.output.data(), trace.output.data() + trace.output.size(), rows.data);
      const auto full = states.rows(states.full, chunk);
      for (Index r = 0; r < rows.rows; ++r) {
        double* s =
            sums.data() + 4 * (chunk.first_sequence - shard.first_sequence + r / shard.length);
        const float *x = full.row(r), *y = rows.row(r);
        double error = 0, xx = 0, yy = 0, xy = 0;
#pragma omp simd reduction(+ : error, xx, yy, xy)
        for (Index c = 0; c < rows.cols; ++c) {
          const double a = static_cast<double>(x[c]), b = static_cast<double>(y[c]);
          error += (a - b) * (a - b);
          xx += a * a;
          yy += b * b;
          xy += a * b;
        }
        s[0] += error, s[1] += xx, s[2] += yy, s[3] += xy;
      }
    }
  });
  states.equal = false;
  return output_error(ranks, shard, model.hidden, sums);
}

void advance_full(const ModelSpec& model, const Block& block, Products products,
                  calib::HiddenStates& states) {
  const calib::Shard& shard = states.shard();
  for (const Chunk& chunk : calib::my_chunks(shard)) {
    leave_when_asked();
    const auto rows = states.rows(states.full, chunk);
    const auto trace =
        model::forward(model, block, rows, shard.length, products, model::Keep::output_only);
    std::copy(trace.output.data(), trace.output.data() + trace.output.size(), rows.data);
  }
}

}  // namespace constrictor::backend
