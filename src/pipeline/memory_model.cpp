// SPDX-License-Identifier: Apache-2.0
#include "pipeline/memory_model.hpp"

#include <algorithm>
#include <cmath>

#include "core/memory.hpp"
#include "core/threads.hpp"
#include "eval/scoring.hpp"
#include "quant/beam_sweep.hpp"

namespace constrictor::pipeline {
namespace {

double real(Index n) { return static_cast<double>(n); }
double square(Index n) { return 4 * real(n) * real(n); }  // bytes of a float32 matrix [n x n]

/// Sizes that the moments share; the tables' words stand here once.
class Model {
 public:
  Model(const Job& job, const calib::Shard& shard, int ranks, const backend::BlockStep& step)
      : job_(job),
        model_(job.model()),
        shard_(shard),
        ranks_(ranks),
        step_(step),
        shape_(largest_sum_shape(job, step)),
        threads_(thread_count()) {
    // Lanes bound the chunks: a chunk never holds sequences of two lanes.
    const Index of_lane = (shard.sequences + shard.lanes - 1) / shard.lanes;
    chunk_sequences_ = std::min(shard.chunk_sequences, of_lane);
    tokens_ = real(chunk_sequences_ * shard.length);
  }

  Moment embedding() const {
    Moment m("embedding");
    states(m);
    ends(m);
    return m;
  }

  Moment statistics() const {
    Moment m("statistics");
    const bool exact = job_.spec.run.reduction == Reduction::exact;
    const double sets = exact ? real(comm::most_sums_alive(shard_.lanes, shard_.mine)) : 1;
    if (on_device()) {
      if (exact && ranks_ > 1) sums(m, sets + 1);  // the part of the tree that spans ranks
    } else {
      sums(m, sets);
      trace(m, shape_.drift ? 2 : 1);
      if (shape_.value_attention) value_sums(m);
      if (shape_.softmax_metric) softmax_metric(m);
    }
    weights(m, Heap::main, originals());
    weights(m, Heap::reader, blocks_read());
    states(m);
    return m;
  }

  Moment factor() const {
    Moment m("factors");
    if (!on_device()) {
      sums(m, 1);
      sides(m);
      // Raw H and D, H in sweep order, the factor and its inverse.
      const Index largest = std::max({shape_.hidden, shape_.attention_width, shape_.feed_forward});
      m.add("one factorization", Heap::main, shape_.drift ? 5 : 4, square(largest));
    }
    weights(m, Heap::main, originals());
    weights(m, Heap::reader, blocks_read());
    states(m);
    return m;
  }

  Moment solve() const {
    Moment m("solvers");
    if (!on_device()) {
      sums(m, 1);
      sides(m);
      rows(m);
    }
    codes(m, 2 + 1.5 / ranks_);  // on their way between ranks, gathered, put together
    weights(m, Heap::main, originals());
    weights(m, Heap::reader, blocks_read());
    states(m);
    return m;
  }

  /// measure_widths.cpp: codes at every width while a layer after the other is tried.
  Moment widths() const {
    Moment m("measurement of widths");
    const auto choices = real(static_cast<Index>(job_.spec.quant.budget.choices.size()));
    if (choices == 0) return m;
    codes(m, choices * (2 + 1.5 / ranks_));
    if (!on_device()) {
      sums(m, 1);
      chunk(m, tokens_);
    }
    weights(m, Heap::reader, blocks_read());
    states(m);
    m.add("residual streams of the calibration sequences", Heap::main, 1,
          4 * real(shard_.my_sequences() * shard_.length) * real(model_.hidden));
    return m;
  }

  Moment advance() const {
    Moment m("quantized forward");
    codes(m, 2);  // of this block, and of the one before while it is written
    weights(m, Heap::main, 1 + originals());
    weights(m, Heap::reader, blocks_read() - 1);
    if (!on_device()) {
      sums(m, 1);
      chunk(m, tokens_);
    }
    states(m);
    return m;
  }

  Moment evaluation() const {
    Moment m("evaluation");
    const double paths = job_.spec.evaluation.kl ? 2 : 1;
    double largest = 0, most_tokens = 0, logits = 0;
    for (const Tokens& set : job_.evaluation) {
      // Whole chunks go to ranks, as in evaluation.cpp.
      const Index windows = std::max<Index>(1, calib::chunk_tokens / set.length());
      const Index chunks = (set.sequences() + windows - 1) / windows;
      const Index mine = std::min(set.sequences(), (chunks + ranks_ - 1) / ranks_ * windows);
      const double bytes = 4 * real(mine * set.length()) * real(model_.hidden);
      m.add("residual streams of the windows", Heap::main, paths, bytes);
      largest = std::max(largest, bytes);
      most_tokens = std::max(most_tokens, real(std::min(windows, set.sequences()) * set.length()));
      const Index rows = std::min(eval::rows_of_logits(model_.vocabulary), set.length());
      logits = std::max(logits, 4 * real(rows) * real(model_.vocabulary));
    }
    if (job_.evaluation.empty()) return m;
    ends(m);
    weights(m, Heap::main, 1);
    codes(m, 1);
    if (on_device()) return m;
    m.add("inputs of the head", Heap::main, paths, largest);
    m.add("logits", Heap::main, paths, logits);
    m.add("logits", Heap::workers, paths * (threads_ - 1), logits);
    m.add("embedding and head", Heap::main, bf16() ? 1 : 0,
          2 * end_weights(model_) / end_matrices());
    chunk(m, most_tokens);
    return m;
  }

 private:
  bool on_device() const { return job_.spec.run.device == "cuda"; }
  bool bf16() const { return job_.products == Products::bfloat16; }
  double blocks_read() const { return real(std::min<Index>(2, model_.blocks)); }
  /// Full-precision weights of the block in work, for x, beside those that are being replaced.
  double originals() const { return step_.first && step_.last ? 0 : 1; }
  double experts() const { return real(std::max<Index>(shape_.experts, 1)); }
  double end_matrices() const { return model_.tied_embeddings ? 1 : 2; }
  double attention_widths() const {
    return real(model_.heads * model_.head_dim + 2 * model_.kv_heads * model_.head_dim);
  }
  void states(Moment& m) const {
    m.add("residual streams of the calibration sequences", Heap::main, 2,
          4 * real(shard_.my_sequences() * shard_.length) * real(model_.hidden));
  }
  void ends(Moment& m) const {
    m.add("embedding and head", Heap::main, end_matrices(),
          4 * end_weights(model_) / end_matrices());
  }
  void weights(Moment& m, Heap heap, double blocks) const {
    for (const Role role : job_.roles) {
      const double numbers = real(layer_inputs(model_, role)) * real(layer_outputs(model_, role));
      m.add("weights", heap, blocks, 4 * numbers);
      if (bf16()) m.add("weights", heap, blocks, 2 * numbers);
    }
  }
  void sums(Moment& m, double sets) const {
    const bool fold = shape_.drift && job_.spec.quant.alpha_rule == AlphaRule::held_out;
    const double kinds = sets * (shape_.drift ? 2 : 1) * (fold ? 2 : 1);
    const auto place = [&](double count, Index n) {
      m.add("sums of statistics", Heap::main, count * kinds, square(n));
    };
    place((shape_.attention_input ? 1 : 0) + (shape_.mlp_input ? experts() : 0) +
              (shape_.value_attention ? real(shape_.kv_heads) : 0),
          shape_.hidden);
    place(shape_.output_input ? 1 : 0, shape_.attention_width);
    place(shape_.down_input ? experts() : 0, shape_.feed_forward);
    const double metrics = (shape_.row_metric ? real(shape_.kv_heads + shape_.key_grams()) : 0) +
                           (shape_.softmax_metric ? real(shape_.heads + shape_.kv_heads) : 0);
    m.add("sums of statistics", Heap::main, metrics * sets, square(shape_.head_dim));
  }

  /// What one forward pass leaves for the statistics, and what it needs on its way.
  void trace(Moment& m, double passes) const {
    const auto matrix = [&](double count, double width) {
      m.add("a chunk of tokens", Heap::main, count, 4 * tokens_ * width);
    };
    matrix(3 * passes, real(model_.hidden));
    matrix(passes, attention_widths() + real(model_.heads * model_.head_dim));
    if (model_.qk_norm) matrix(passes, attention_widths());
    matrix(passes + (model_.gated ? 1 : 0), real(model_.feed_forward));
    if (bf16()) matrix(0.5 * passes, real(model_.feed_forward));
    attention(m);
  }
  /// A forward pass that keeps its output only.
  void chunk(Moment& m, double tokens) const {
    const double mlp = real(model_.feed_forward) * (model_.gated ? 2 : 1);
    const double widths = std::max(mlp, attention_widths()) * (bf16() ? 1.5 : 1);
    m.add("a chunk of tokens", Heap::main, 2, 4 * tokens * real(model_.hidden));
    m.add("a chunk of tokens", Heap::main, 2, 2 * tokens * widths);
    attention(m);
  }
  void attention(Moment& m) const {
    const double bytes = 4 * real(std::min<Index>(128, shard_.length)) * real(shard_.length);
    m.add("attention probabilities", Heap::main, 1, bytes);
    m.add("attention probabilities", Heap::workers, threads_ - 1, bytes);
  }
  /// Of one head a thread: probabilities of a tile, weights of all positions, two stacks of a tile.
  void softmax_metric(Moment& m) const {
    const Index wanted = shape_.metric_positions, d = shape_.head_dim;
    const double counted = real(wanted == 0 ? shard_.length : std::min(wanted, shard_.length));
    const double stacked = std::max(512., real(d)), length = real(shard_.length);
    const double of_one =
        4 * (counted * (length + real(d)) + stacked * (2 * real(d) + std::max(length, counted)) +
             length * (real(d) + stacked / real(d)));
    m.add("attention probabilities", Heap::main, 1, of_one);
    m.add("attention probabilities", Heap::workers, threads_ - 1, of_one);
    m.add("a chunk of tokens", Heap::main, 2 * real(chunk_sequences_ * shape_.heads), square(d));
  }
  void value_sums(Moment& m) const {
    const double paths = shape_.drift ? 2 : 1, width = tokens_ * real(model_.hidden);
    m.add("a chunk of tokens", Heap::main, paths, 4 * width);
    if (bf16()) m.add("a chunk of tokens", Heap::main, paths + 1, 2 * width);
    // A, the sum over heads, and their bfloat16 copies, of one sequence a thread.
    const double matrices = paths * (bf16() ? 2.5 : 2);
    const double busy = chunk_sequences_ < threads_ ? 1 : threads_;
    m.add("attention probabilities", Heap::main, matrices, square(shard_.length));
    m.add("attention probabilities", Heap::workers, matrices * (busy - 1), square(shard_.length));
  }

  /// Damped and factored sides, all of them on every rank: H, R, U and with drift D, P, shift.
  void sides(Moment& m) const {
    for (const backend::InputUnit& unit :
         planned_units(job_, job_.specs.front(), shard_.length, step_)) {
      const auto& s = unit.settings;
      double copies = unit.factor ? 3 : 2;
      if (shape_.drift && s.drift != Drift::none && s.alpha != 0)
        copies += 1 + (unit.factor && s.drift == Drift::sequential ? 1 : 0) +
                  (unit.factor && s.shift_wanted ? 1 : 0);
      m.add("factored Hessians", Heap::main, copies, square(unit.inputs));
    }
  }
  /// Weights, targets, errors, products of the rows that a thread works on.
  void rows(Moment& m) const {
    constexpr double tile = 128;
    bool learned = false;  // rounding keeps its variables, their moments and gradients
    for (const auto& spec : job_.specs.front()) learned |= spec.method == Method::aespa;
    const double copies = learned ? 18 : 12;
    const double bytes = 4 * tile * real(std::max(model_.hidden, model_.feed_forward));
    m.add("rows in work", Heap::main, copies, bytes);
    m.add("rows in work", Heap::workers, copies * (threads_ - 1), bytes);
    if (!any_beam(job_)) return;
    const double beam = real(quant::beam_bytes(std::max(model_.hidden, model_.feed_forward)));
    m.add("rows in work", Heap::main, 1, beam);
    m.add("rows in work", Heap::workers, threads_ - 1, beam);
  }
  void codes(Moment& m, double copies) const {
    const double bytes = 1.15 * block_weights(job_);  // column energies come with each tile
    m.add("codes", Heap::main, copies, bytes);
  }

  const Job& job_;
  const ModelSpec& model_;
  const calib::Shard& shard_;
  int ranks_;
  backend::BlockStep step_;
  SumShape shape_;
  int threads_;
  Index chunk_sequences_ = 1;
  double tokens_ = 0;
};

}  // namespace

std::vector<Moment> walk_moments(const Job& job, const calib::Shard& shard, int ranks) {
  std::vector<Moment> moments;
  for (const auto& step : backend::steps_of(job.spec.quant.gather, job.roles)) {
    const Model model(job, shard, ranks, step);
    if (step.first) moments.push_back(model.embedding());
    if (step.first && job.spec.quant.budget.on()) moments.push_back(model.widths());
    moments.insert(moments.end(), {model.statistics(), model.factor(), model.solve()});
    if (step.last) moments.push_back(model.advance());
  }
  return moments;
}

Moment evaluation_moment(const Job& job, const calib::Shard& shard, int ranks) {
  return Model(job, shard, ranks, backend::steps_of(job.spec.quant.gather, job.roles).back())
      .evaluation();
}

}  // namespace constrictor::pipeline
