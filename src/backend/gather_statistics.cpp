// SPDX-License-Identifier: Apache-2.0
#include "backend/gather_statistics.hpp"

#include <algorithm>
#include <cmath>

#include "comm/agree.hpp"
#include "core/stop_flag.hpp"
#include "hessian/accumulate.hpp"
#include "hessian/softmax_metric.hpp"
#include "hessian/sum_over_ranks.hpp"
#include "model/forward.hpp"
#include "model/rope.hpp"

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
  for (const ExpertTrace& expert : trace.experts)
    require_finite(expert.down_input, "an expert's input of the last MLP layer", block, chunk,
                   length);
  require_finite(trace.output, "the block's output", block, chunk, length);
}

/// Where a lane's chunks are added up; null where they only pass.
struct Target {
  const SumShape& shape;
  BlockSums* sums;
};

class Gatherer {
 public:
  Gatherer(const ModelSpec& model, const Gathering& gathering, const GatherSettings& settings,
           calib::HiddenStates& states, KeptInputs* kept)
      : model_(model), gathering_(gathering), settings_(settings), states_(states), kept_(kept) {
    if (gathering.shape.softmax_metric)
      metric_ = hessian::softmax_metric(
          gathering.shape, gathering.full.layer(Role::output).weight.view(),
          model::rope_frequencies(model, gathering.full.index), states.shard().length);
  }

  /// Adds the chunks of a lane to a target.
  void add_lane(Index lane, const Target& target) {
    for (const Chunk& chunk : calib::chunks_of_lane(states_.shard(), lane)) {
      leave_when_asked();
      add_chunk(chunk, target);
    }
  }

 private:
  BlockTrace forward(const Block& weights, Matrix<float>& of, const Chunk& chunk, model::Keep keep,
                     const BlockTrace* experts_as = nullptr) {
    return model::forward(model_, weights, states_.rows(of, chunk), states_.shard().length,
                          settings_.products, keep, gathering_.until(), experts_as);
  }
  void add(const Target& target, const BlockTrace& quant, const BlockTrace* full) {
    if (target.sums != nullptr)
      hessian::accumulate(target.shape, quant, full, states_.shard().length, settings_.products,
                          *target.sums, &metric_);
  }
  /// Forward on x~ and x, sums; in the last step x moves on.
  void add_chunk(const Chunk& chunk, const Target& target) {
    const Index block = gathering_.full.index, length = states_.shard().length;
    const Index first_token = chunk.first_sequence * length;
    const bool keep_now = kept_ != nullptr && kept_->wants(first_token);
    const BlockTrace quant =
        forward(gathering_.quant, states_.quant, chunk, model::Keep::layer_inputs);
    check_trace(quant, block, chunk, length);
    const auto move_on = [&](const BlockTrace& trace) {
      if (!gathering_.last) return;
      const auto to = states_.rows(states_.full, chunk);
      std::copy(trace.output.data(), trace.output.data() + trace.output.size(), to.data);
    };
    if (gathering_.one_path(states_)) {
      add(target, quant, nullptr);
      if (keep_now) kept_->append(quant, quant, first_token);
      return move_on(quant);
    }
    const bool inputs_wanted = gathering_.shape.drift || keep_now;
    BlockTrace full;
    if (inputs_wanted || gathering_.last)
      full = forward(gathering_.full, states_.full, chunk,
                     inputs_wanted ? model::Keep::layer_inputs : model::Keep::output_only, &quant);
    require_finite(full.output, "the full-precision output", block, chunk, length);
    add(target, quant, gathering_.shape.drift ? &full : nullptr);
    if (keep_now) kept_->append(quant, full, first_token);
    move_on(full);
  }

  const ModelSpec& model_;
  const Gathering& gathering_;
  const GatherSettings& settings_;
  calib::HiddenStates& states_;
  KeptInputs* kept_;
  hessian::SoftmaxMetric metric_;
};

}  // namespace

GatheredSums gather_statistics(const comm::Communicator& ranks, const ModelSpec& model,
                               const Gathering& gathering, const GatherSettings& settings,
                               calib::HiddenStates& states, SecondsByPhase& seconds,
                               KeptInputs* kept) {
  const calib::Shard& shard = states.shard();
  const SumShape shape = gathering.shape, fold_shape = fold_of(shape);
  const bool with_fold = gathering.with_fold();
  const auto held_out = [&](Index lane) { return lane >= shard.lanes - gathering.held_out_lanes; };
  comm::LaneTree<TravellingSums> tree(ranks, shard.lanes, [&] { return TravellingSums(shape); });
  comm::LaneTree<TravellingSums> fold(ranks, shard.lanes,
                                      [&] { return TravellingSums(fold_shape); });
  std::optional<TravellingSums> merged, merged_fold;  // `fast`: all lanes of the rank are one
  {
    const PhaseTimer timer(seconds, "statistics");
    comm::agree(ranks, [&] {
      Gatherer gatherer(model, gathering, settings, states, kept);
      // A lane's sums, or zeros in its place: the lane is the other tree's.
      const auto push = [&](auto& to, const SumShape& shape_of, Index lane, bool counts) {
        auto sums = to.blank();
        sums.sums.start();
        if (counts) gatherer.add_lane(lane, {shape_of, &sums.sums});
        if (sums.sums.tokens[0] == 0) sums.sums.clear();  // or fewer sequences than lanes
        to.push(std::move(sums));
      };
      if (settings.reduction == Reduction::fast) {
        merged.emplace(shape);
        if (with_fold) merged_fold.emplace(fold_shape);
      }
      for (Index lane = shard.mine.first; lane < shard.mine.last; ++lane) {
        const bool held = held_out(lane);
        if (held && !with_fold) gatherer.add_lane(lane, {shape, nullptr});
        if (merged) {
          if (!held) gatherer.add_lane(lane, {shape, &merged->sums});
          if (held && with_fold) gatherer.add_lane(lane, {fold_shape, &merged_fold->sums});
          continue;
        }
        push(tree, shape, lane, !held);
        if (with_fold) push(fold, fold_shape, lane, held);
      }
      for (auto* sums : {&merged, &merged_fold})
        if (*sums && (*sums)->sums.tokens[0] == 0) (*sums)->sums.clear();
    });
  }
  const PhaseTimer timer(seconds, "reduce");
  if (kept != nullptr && kept->tokens > 0) kept->collect(ranks, gathering.full);
  if (settings.reduction == Reduction::fast) {
    comm::fast_sum(ranks, comm::parts_of(*merged));
    if (with_fold) comm::fast_sum(ranks, comm::parts_of(*merged_fold));
  } else {
    merged.emplace(tree.finish_everywhere());
    if (with_fold) merged_fold.emplace(fold.finish_everywhere());
  }
  GatheredSums gathered{std::move(merged->sums), std::nullopt};
  if (with_fold) gathered.fold.emplace(std::move(merged_fold->sums));
  return gathered;
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
