// SPDX-License-Identifier: Apache-2.0
#include "pipeline/device_memory_model.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/device_memory_words.hpp"
#include "quant/beam_sweep.hpp"

namespace constrictor::pipeline {
namespace {

using namespace device_memory;

double real(Index n) { return static_cast<double>(n); }
double square(Index n) { return 4 * real(n) * real(n); }  // bytes of a float32 matrix [n x n]

/// A piece of a table that the device's functions hold at a time: see linalg::attention_sequences
/// and eval::score_windows, which cut their scratch memory to it.
constexpr double one_piece = 64 << 20;
/// Rows of one task of the device's solver, and how many matrices of their size it holds.
constexpr Index rows_in_work = 1024;
constexpr double row_copies = 12;

/// Sizes that the moments share.
class Model {
 public:
  Model(const Job& job, const calib::Shard& shard, int ranks, const backend::BlockStep& step)
      : job_(job),
        model_(job.model()),
        shard_(shard),
        ranks_(ranks),
        step_(step),
        shape_(largest_sum_shape(job, step)),
        width_(job.products == Products::bfloat16 ? 2 : 4),
        paths_(shape_.drift ? 2 : 1) {
    const Index of_lane = (shard.sequences + shard.lanes - 1) / shard.lanes;
    tokens_ = real(std::min(shard.chunk_sequences, of_lane) * shard.length);
  }

  DeviceMoment embedding() const {
    DeviceMoment m{"embedding", {}};
    ends(m);
    add(m, chunk_of, 4 * real(calib::device_chunk_tokens) * real(model_.hidden));
    return with_libraries(m);
  }

  /// The second path's forward pass, while the traces of the first wait.
  DeviceMoment forward() const {
    DeviceMoment m = walk("forward");
    add(m, weights_of, replaced());
    sums(m, sets_alive());
    add(m, chunk_of, paths_ * trace(tokens_));
    if (!shape_.drift && model_.blocks > 1) add(m, chunk_of, passing(tokens_));
    transients(m, tokens_, shard_.length);
    return with_libraries(m);
  }

  DeviceMoment statistics() const {
    DeviceMoment m = walk("statistics");
    add(m, weights_of, replaced());
    sums(m, sets_alive());
    add(m, chunk_of, paths_ * trace(tokens_));
    if (shape_.value_attention) value_sums(m);
    if (shape_.row_metric && shape_.qk_norm) {  // one head at a time, hessian/head_norm_gpu.cpp
      const double d = real(shape_.head_dim);
      add(m, chunk_of, 4 * d * tokens_ * (4 + 3 * d / real(shard_.length)));
    }
    return with_libraries(m);
  }

  DeviceMoment reduction() const {
    DeviceMoment m{"sum over ranks", {}};
    add(m, weights_of, two_blocks() + replaced());
    sums(m, sets_alive());
    // Gram sums as triangles, the rest as it is.
    const bool fast = job_.spec.run.reduction == Reduction::fast;
    if (fast && ranks_ > 1) add(m, packed_of, set_of_sums() * (shape_.drift ? 0.75 : 0.5));
    return with_libraries(m);
  }

  DeviceMoment factor() const {
    DeviceMoment m = between("factors");
    sides(m);
    // The factor of the flipped matrix, or with drift D U', its triangle, and D in sweep order. A
    // second try in float64 needs 8; it is rare, and worth a late message rather than a refusal.
    add(m, factor_of, square(largest_inputs()) * (shape_.drift ? 3 : 1));
    return with_libraries(m);
  }

  DeviceMoment solve() const {
    DeviceMoment m = between("solvers");
    sides(m);
    double most = 0;
    for (const Role role : job_.roles)
      most = std::max(most, task(std::min(rows_in_work, layer_outputs(model_, role)),
                                 layer_inputs(model_, role)));
    add(m, rows_of, most);
    return with_libraries(m);
  }

  DeviceMoment advance() const {
    DeviceMoment m = walk("quantized forward");
    sums(m, 1);
    add(m, chunk_of, passing(tokens_) + 2 * 32 * tokens_);  // and four float64 errors a token
    transients(m, tokens_, shard_.length);
    return with_libraries(m);
  }

  DeviceMoment evaluation() const {
    DeviceMoment m{"evaluation", {}};
    if (job_.evaluation.empty()) return m;
    const auto [tokens, longest] = evaluated();
    sums(m, 1);  // of the last block
    add(m, weights_of, one_block());
    states(m, 1, tokens);
    add(m, chunk_of, passing(tokens));
    transients(m, tokens, longest);
    return with_libraries(m);
  }

  DeviceMoment scores() const {
    DeviceMoment m{"scores", {}};
    if (job_.evaluation.empty()) return m;
    const auto [tokens, longest] = evaluated();
    const double paths = job_.spec.evaluation.kl ? 2 : 1;
    sums(m, 1);
    ends(m);
    add(m, chunk_of, (4 + paths * width_) * tokens * real(model_.hidden));
    const double columns = real(std::min<Index>(1024, model_.vocabulary));
    const double all = 4 * tokens * real(model_.vocabulary);
    add(m, logits_of, paths * std::min(all, std::max(one_piece, 4 * columns * real(longest))));
    return with_libraries(m);
  }

 private:
  static void add(DeviceMoment& m, const Kind& kind, double bytes) { m.add(kind.what, bytes); }

  /// Rows that the solver takes at a time. The grid search splits the root into two bfloat16
  /// matrices and scores 200 candidates a row, in pieces.
  double task(Index rows, Index inputs) const {
    constexpr double candidates = 200, piece = 1 << 29;
    const double n = real(inputs), count = candidates * real(rows);
    const double beam = any_beam(job_) ? real(quant::device_beam_bytes(inputs)) : 0;
    return beam + row_copies * 4 * real(rows) * n + square(inputs) + 8 * count +
           std::min(piece, count * (2 * n + 4 * std::min(n, 1024.)));
  }
  Index largest_inputs() const {
    return std::max({shape_.hidden, shape_.attention_width, shape_.feed_forward});
  }
  double queries() const { return real(model_.heads * model_.head_dim); }
  double keys() const { return real(model_.kv_heads * model_.head_dim); }

  double sets_alive() const {
    const bool exact = job_.spec.run.reduction == Reduction::exact;
    return exact ? real(comm::most_sums_alive(shard_.lanes, shard_.mine)) : 1;
  }
  double set_of_sums() const { return real(bytes_of_sums(shape_)); }
  void sums(DeviceMoment& m, double sets) const { add(m, sums_of, sets * set_of_sums()); }

  double one_block() const { return width_ * block_weights(job_); }
  double two_blocks() const { return one_block() * (model_.blocks > 1 ? 2 : 1); }
  /// Later steps of a block: its weights with quantized layers, for x~.
  double replaced() const { return step_.first ? 0 : one_block(); }
  /// The walk of chunks through a block, while the next one's weights arrive.
  DeviceMoment walk(const char* name) const {
    DeviceMoment m{name, {}};
    add(m, weights_of, two_blocks());
    states(m, model_.blocks > 1 ? 2 : 1, tokens_);  // of one path in the first block
    return m;
  }
  /// Between two walks: the sums of this block, the weights of the next.
  DeviceMoment between(const char* name) const {
    DeviceMoment m{name, {}};
    sums(m, 1);
    add(m, weights_of, model_.blocks > 1 ? one_block() : 0);
    return m;
  }
  /// A chunk in work and one on its way in, and one on its way out: chunk_walk_gpu.hpp.
  void states(DeviceMoment& m, double paths, double tokens) const {
    add(m, chunk_of, (2 * paths + 1) * 4 * tokens * real(model_.hidden));
  }
  /// Tokens of a chunk, and of the longest window.
  std::pair<double, Index> evaluated() const {
    double tokens = 0;
    Index longest = 0;
    for (const Tokens& set : job_.evaluation) {
      const Index windows = std::max<Index>(1, calib::device_chunk_tokens / set.length());
      tokens = std::max(tokens, real(std::min(set.sequences(), windows) * set.length()));
      longest = std::max(longest, set.length());
    }
    return {tokens, longest};
  }
  void ends(DeviceMoment& m) const {
    const double numbers = real(model_.vocabulary) * real(model_.embedding_width);
    add(m, ends_of, numbers * (4 + width_));
  }

  /// DeviceTrace of one path, see data/device_block.hpp.
  double trace(double tokens) const {
    const double factors =
        2 * real(model_.hidden) + 2 * queries() + 2 * keys() + real(model_.feed_forward);
    const double in_float = real(model_.hidden) + (model_.qk_norm ? queries() + keys() : 0);
    return tokens * (width_ * factors + 4 * in_float);
  }
  /// The same of a pass that keeps its output only: at its fullest inside the MLP or the attention.
  double passing(double tokens) const {
    const double attention = 2 * queries() + 2 * keys(), mlp = real(model_.feed_forward);
    return tokens *
           (width_ * (real(model_.hidden) + std::max(attention, mlp)) + 4 * real(model_.hidden));
  }
  /// What a forward pass frees again: gate and up, or rotated queries, in float32; scores.
  void transients(DeviceMoment& m, double tokens, Index length) const {
    const double mlp = model_.gated ? 2 * real(model_.feed_forward) : 0;
    add(m, chunk_of, 4 * tokens * std::max(mlp, queries() + keys()));
    add(m, attention_of, scores(tokens, length) * (1 + width_ / 4));
  }
  /// A tile of queries of one head in as many sequences as fit into a piece.
  double scores(double tokens, Index length) const {
    const double of_one = 4 * real(std::min<Index>(512, length)) * real(length);
    return std::min(tokens / real(length) * of_one, std::max(one_piece, of_one));
  }
  /// Probabilities of one head, their products summed over a group, in both paths, and weighted
  /// inputs: hessian::add_value_sums, which takes as many sequences as fit into its scratch memory.
  void value_sums(DeviceMoment& m) const {
    constexpr double most = 3. * (1 << 29);
    const double length = real(shard_.length);
    const double rounded = width_ < 4 ? width_ : 0;  // with float32 products it is the sum itself
    const double sequence =
        length * (length * (paths_ * (width_ + 4) + rounded) + width_ * real(model_.hidden));
    const double all = tokens_ / length * sequence;
    add(m, attention_of, scores(tokens_, shard_.length) + std::min(all, std::max(most, sequence)));
  }

  /// H, R, U and with drift D, P, shift of every input unit; the fullest of all blocks' decks.
  void sides(DeviceMoment& m) const {
    double most = 0;
    for (const auto& specs : job_.specs) most = std::max(most, bytes_of_sides(specs));
    add(m, sides_of, most);
  }
  double bytes_of_sides(const std::vector<QuantSpec>& specs) const {
    double bytes = 0;
    for (const backend::InputUnit& unit : planned_units(job_, specs, shard_.length, step_)) {
      const auto& s = unit.settings;
      double copies = unit.factor ? 3 : 2;
      if (shape_.drift && s.drift != Drift::none && s.alpha != 0)
        copies += 1 + (unit.factor && s.drift == Drift::sequential ? 1 : 0) +
                  (unit.factor && s.shift_wanted ? 1 : 0);
      bytes += copies * square(unit.inputs);
    }
    return bytes;
  }

  /// cuSOLVER's and NCCL's own buffers; an estimate, their makers promise nothing.
  DeviceMoment with_libraries(DeviceMoment m) const {
    add(m, libraries_of, (ranks_ > 1 ? 768. : 256.) * (1 << 20));
    return m;
  }

  const Job& job_;
  const ModelSpec& model_;
  const calib::Shard& shard_;
  int ranks_;
  backend::BlockStep step_;
  SumShape shape_;
  double width_;  // bytes of a factor of products
  double paths_;  // full precision and quantized
  double tokens_ = 0;
};

}  // namespace

std::vector<DeviceMoment> device_moments(const Job& job, const calib::Shard& shard, int ranks) {
  std::vector<DeviceMoment> moments;
  for (const auto& step : backend::steps_of(job.spec.quant.gather, job.roles)) {
    const Model model(job, shard, ranks, step);
    if (step.first) moments.push_back(model.embedding());
    for (const DeviceMoment& moment :
         {model.forward(), model.statistics(), model.reduction(), model.factor(), model.solve()})
      moments.push_back(moment);
    if (!step.last) continue;
    for (const DeviceMoment& moment : {model.advance(), model.evaluation(), model.scores()})
      moments.push_back(moment);
  }
  return moments;
}

}  // namespace constrictor::pipeline
