// SPDX-License-Identifier: Apache-2.0
#include "backend/device_gather_gpu.hpp"

#include <optional>

#include "backend/chunk_walk_gpu.hpp"
#include "backend/finite_flags_gpu.hpp"
#include "comm/agree.hpp"
#include "comm/lane_tree.hpp"
#include "hessian/accumulate_gpu.hpp"
#include "model/forward_gpu.hpp"

namespace constrictor::backend {
namespace {

using device::DeviceMatrix;
using hessian::TravellingSums;

template <class E>
Matrix<float> on_host(const device::Context& gpu, const DeviceMatrix<E>& m) {
  return converted<float>(read_only(device::downloaded<E>(gpu, m.view()).view()));
}

/// What `run.keep.activations` asks for, on the host.
template <class E>
BlockTrace inputs_on_host(const device::Context& gpu, const DeviceTrace<E>& trace) {
  BlockTrace host;
  host.attention_input = on_host(gpu, trace.attention_input);
  host.output_input = on_host(gpu, trace.output_input);
  host.mlp_input = on_host(gpu, trace.mlp_input);
  host.down_input = on_host(gpu, trace.down_input);
  return host;
}

/// Forward on x~ and x, sums; chunk after chunk, lane after lane.
template <class E>
class GatheringWalk final : public ChunkVisitor {
 public:
  GatheringWalk(const DeviceRank& rank, const Gathering& gathering, const GatheredBlocks<E>& blocks,
                const calib::HiddenStates& states, KeptInputs* kept)
      : rank_(rank),
        gathering_(gathering),
        blocks_(blocks),
        shape_(gathering.shape),
        shard_(states.shard()),
        one_path_(gathering.one_path(states)),
        kept_(kept),
        stack_(
            shard_.lanes, shard_.mine, [&] { return DeviceSums(rank_.gpu, shape_); },
            [&](DeviceSums& left, DeviceSums& right) { hessian::add(rank_.gpu, left, right); }) {
    for (Index lane = shard_.mine.first; lane < shard_.mine.last; ++lane)
      for (const auto& chunk : calib::chunks_of_lane(shard_, lane)) {
        chunks_.push_back(chunk);
        lanes_.push_back(lane);
      }
    flags_.emplace(
        rank.gpu, static_cast<Index>(chunks_.size()),
        std::vector<const char*>{"the input of the attention layers", "the attention output",
                                 "the input of the MLP", "the input of the last MLP layer",
                                 "the block's output", "the full-precision output"});
  }

  std::vector<Piece> rows() const { return calib::rows_of(shard_, chunks_); }

  std::vector<DeviceMatrix<float>> work(
      Index i, const std::vector<DeviceView<const float>>& states) override {
    open_lane(lanes_[static_cast<std::size_t>(i)]);
    const bool keep_now = kept_ != nullptr && kept_->wants(first_token(i));
    const auto forward = [&](const DeviceBlock<E>& block, DeviceView<const float> hidden,
                             model::Keep keep) {
      return model::forward<E>(rank_.gpu, rank_.model, block, hidden, shard_.length, keep,
                               gathering_.until());
    };
    auto quant = forward(blocks_.quant, states[0], model::Keep::layer_inputs);
    ask(i, quant);
    std::vector<DeviceMatrix<float>> moved_on;
    if (one_path_) {
      ask<float>(i, 5, quant.output.view());
      hessian::accumulate<E>(rank_.gpu, shape_, quant, nullptr, shard_.length, *sums_);
      if (keep_now) keep(i, quant, quant);
      if (gathering_.last) moved_on.push_back(std::move(quant.output));
      return moved_on;
    }
    const bool inputs_wanted = shape_.drift || keep_now;
    DeviceTrace<E> full;
    if (inputs_wanted || gathering_.last)
      full = forward(blocks_.full, states[1],
                     inputs_wanted ? model::Keep::layer_inputs : model::Keep::output_only);
    ask<float>(i, 5, full.output.view());
    hessian::accumulate<E>(rank_.gpu, shape_, quant, shape_.drift ? &full : nullptr, shard_.length,
                           *sums_);
    if (keep_now) keep(i, quant, full);
    if (gathering_.last) moved_on.push_back(std::move(full.output));
    return moved_on;
  }
  void fetch(Index i) override { flags_->fetch(i); }
  void arrived(Index i) override {
    const auto& chunk = chunks_[static_cast<std::size_t>(i)];
    flags_->check(i, gathering_.full.index, chunk.sequences * shard_.length, chunk, shard_.length);
  }

  /// The nodes of the tree that the rank's lanes make.
  std::vector<comm::LaneStack<DeviceSums>::Node> finished_lanes() {
    open_lane(shard_.mine.last);
    return std::move(stack_.nodes());
  }
  /// `fast`: all lanes of the rank are one.
  void merge_lanes() { merged_ = true; }
  DeviceSums merged() {
    if (!sums_) open_sums();
    if (sums_->tokens == 0) hessian::set_zero(rank_.gpu, *sums_);
    return std::move(*sums_);
  }

 private:
  Index first_token(Index i) const {
    return chunks_[static_cast<std::size_t>(i)].first_sequence * shard_.length;
  }
  /// What a pass did not reach is in order: rows without elements.
  template <class T>
  void ask(Index i, Index place, DeviceView<const T> values) {
    const Index rows = chunks_[static_cast<std::size_t>(i)].sequences * shard_.length;
    flags_->ask(i, place, values.rows > 0 ? values : DeviceView<const T>{nullptr, rows, 0, 0});
  }
  void ask(Index i, const DeviceTrace<E>& trace) {
    ask<E>(i, 0, trace.attention_input.view());
    ask<E>(i, 1, trace.output_input.view());
    ask<E>(i, 2, trace.mlp_input.view());
    ask<E>(i, 3, trace.down_input.view());
    ask<float>(i, 4, trace.output.view());
  }
  void keep(Index i, const DeviceTrace<E>& quant, const DeviceTrace<E>& full) {
    kept_->append(inputs_on_host(rank_.gpu, quant), inputs_on_host(rank_.gpu, full),
                  first_token(i));
  }
  void open_sums() {
    sums_.emplace(stack_.blank());
    sums_->tokens = 0;
  }
  /// Closes the lanes before this one; those without sequences have sums of zero.
  void open_lane(Index lane) {
    if (merged_) {
      if (!sums_) open_sums();
      return;
    }
    for (; next_ < lane; ++next_) {
      if (!sums_) open_sums();
      if (sums_->tokens == 0) hessian::set_zero(rank_.gpu, *sums_);
      stack_.push(std::move(*sums_));
      sums_.reset();
    }
    if (!sums_ && lane < shard_.mine.last) open_sums();
  }

  const DeviceRank& rank_;
  const Gathering& gathering_;
  const GatheredBlocks<E>& blocks_;
  const SumShape& shape_;
  const calib::Shard& shard_;
  bool one_path_, merged_ = false;
  KeptInputs* kept_;
  std::vector<calib::Chunk> chunks_;
  std::vector<Index> lanes_;
  std::optional<FiniteFlags> flags_;
  comm::LaneStack<DeviceSums> stack_;
  std::optional<DeviceSums> sums_;  // of the lane in work
  Index next_ = shard_.mine.first;  // the first lane that is not on the stack
};

/// Collective: one ncclAllReduce.
DeviceSums summed_fast(const DeviceRank& rank, const SumShape& shape, DeviceSums sums) {
  if (rank.ranks.size() == 1) return sums;
  auto all = hessian::packed(rank.gpu, shape, sums);
  const DeviceView<float> views[] = {all.view()};
  rank.devices.sum(views, rank.gpu.main());
  rank.devices.finish(rank.gpu.main());
  hessian::unpack(rank.gpu, read_only(all.view()), sums);
  sums.tokens = rank.ranks.sum(sums.tokens);
  return sums;
}

/// Collective: the part of the tree that spans ranks, over MPI.
DeviceSums summed_exactly(const DeviceRank& rank, const SumShape& shape, const calib::Shard& shard,
                          std::vector<comm::LaneStack<DeviceSums>::Node> mine) {
  if (rank.ranks.size() == 1) return std::move(mine.front().second);
  comm::LaneTree<TravellingSums> tree(rank.ranks, shard.lanes,
                                      [&] { return TravellingSums(shape); });
  comm::agree(rank.ranks, [&] {
    std::vector<comm::LaneTree<TravellingSums>::Node> nodes;
    for (auto& [node, sums] : mine) {
      nodes.emplace_back(node, TravellingSums(shape));
      hessian::download(rank.gpu, sums, nodes.back().second.sums);
    }
    mine.clear();
    tree.adopt(std::move(nodes));
  });
  auto total = tree.finish_everywhere();
  return comm::agree(rank.ranks, [&] {
    DeviceSums sums(rank.gpu, shape);
    hessian::upload(rank.gpu, total.sums, sums);
    rank.gpu.main().synchronize();
    return sums;
  });
}

}  // namespace

template <class E>
DeviceSums gather_on_device(const DeviceRank& rank, const Gathering& gathering,
                            const GatheredBlocks<E>& blocks, calib::HiddenStates& states,
                            SecondsByPhase& seconds, KeptInputs* kept) {
  const SumShape& shape = gathering.shape;
  std::vector<comm::LaneStack<DeviceSums>::Node> nodes;
  std::optional<DeviceSums> merged;
  const bool fast = rank.reduction == Reduction::fast;
  {
    const PhaseTimer timer(seconds, "statistics");
    comm::agree(rank.ranks, [&] {
      GatheringWalk<E> walk(rank, gathering, blocks, states, kept);
      if (fast) walk.merge_lanes();
      ChunkPaths paths{{states.quant.view()}, {}, walk.rows()};
      if (gathering.last) paths.targets.push_back(states.full.view());
      if (!gathering.one_path(states)) paths.sources.push_back(states.full.view());
      walk_chunks(rank.gpu, paths, walk);
      if (fast)
        merged.emplace(walk.merged());
      else
        nodes = walk.finished_lanes();
      rank.gpu.main().synchronize();
    });
  }
  const PhaseTimer timer(seconds, "reduce");
  if (kept != nullptr && kept->tokens > 0) kept->collect(rank.ranks, gathering.full);
  if (fast) return summed_fast(rank, shape, std::move(*merged));
  return summed_exactly(rank, shape, states.shard(), std::move(nodes));
}

template DeviceSums gather_on_device(const DeviceRank&, const Gathering&,
                                     const GatheredBlocks<float>&, calib::HiddenStates&,
                                     SecondsByPhase&, KeptInputs*);
template DeviceSums gather_on_device(const DeviceRank&, const Gathering&,
                                     const GatheredBlocks<bfloat16>&, calib::HiddenStates&,
                                     SecondsByPhase&, KeptInputs*);

}  // namespace constrictor::backend
