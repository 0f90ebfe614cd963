// SPDX-License-Identifier: Apache-2.0
// The backend on a CUDA device: one rank drives one device.
#include <algorithm>
#include <mutex>
#include <optional>

#include "backend/backend.hpp"
#include "backend/chunk_walk_gpu.hpp"
#include "backend/device_gather_gpu.hpp"
#include "backend/device_solver_gpu.hpp"
#include "backend/solve_block.hpp"
#include "comm/agree.hpp"
#include "comm/device_communicator.hpp"
#include "core/stop_flag.hpp"
#include "eval/scoring_gpu.hpp"
#include "model/forward_gpu.hpp"
#include "model/rope.hpp"

namespace constrictor::backend {
namespace {

/// Plain forward of chunks, in place.
template <class E>
class Moving final : public ChunkVisitor {
 public:
  Moving(const device::Context& gpu, const ModelSpec& model, const DeviceBlock<E>& block,
         Index length)
      : gpu_(gpu), model_(model), block_(block), length_(length) {}
  std::vector<device::DeviceMatrix<float>> work(
      Index, const std::vector<DeviceView<const float>>& states) override {
    std::vector<device::DeviceMatrix<float>> moved_on;
    moved_on.push_back(
        model::forward<E>(gpu_, model_, block_, states[0], length_, model::Keep::output_only)
            .output);
    return moved_on;
  }

 private:
  const device::Context& gpu_;
  const ModelSpec& model_;
  const DeviceBlock<E>& block_;
  Index length_;
};

std::vector<Piece> pieces_of(Index rows, Index width) {
  std::vector<Piece> all;
  for (Index i = 0; i < pieces(rows, width); ++i) all.push_back(piece(rows, width, i));
  return all;
}

/// E: the type of the factors of products.
template <class E>
class DeviceBackend final : public Backend {
 public:
  DeviceBackend(const comm::Communicator& ranks, int number, const BackendSettings& settings)
      : ranks_(ranks), settings_(settings), gpu_(number), devices_(ranks, gpu_) {}

  Index chunk_tokens() const override { return calib::device_chunk_tokens; }

  void stage(const Block& block) override {
    gpu_.make_current();
    auto on_device = model::uploaded<E>(gpu_, block);
    gpu_.copies().synchronize();  // the host's block may move once this thread is done
    const std::lock_guard lock(staging_);
    staged_.emplace(std::move(on_device));
  }

  std::shared_ptr<void> pinned(View<float> memory) override {
    return std::make_shared<device::PinnedMemory>(
        memory.data, static_cast<std::size_t>(memory.size()) * sizeof(float));
  }

  Matrix<float> embed(const ModelEnds& ends, View<const std::int32_t> ids) override {
    const auto on_device = model::uploaded<E>(gpu_, settings_.model, ends);
    auto hidden = Matrix<float>::uninitialized(ids.size(), settings_.model.hidden);
    const Index width = std::max<Index>(1, calib::device_chunk_tokens / ids.cols);
    for (const Piece& some : pieces_of(ids.rows, width)) {
      const auto embedded =
          model::embed<E>(gpu_, settings_.model, on_device, ids.rows_from(some.first, some.size()));
      device::download<float>(
          embedded.view(), hidden.view().rows_from(some.first * ids.cols, some.size() * ids.cols),
          gpu_.main());
    }
    gpu_.main().synchronize();
    return hidden;
  }

  void gather(const Gathering& gathering, calib::HiddenStates& states, KeptInputs* kept,
              SecondsByPhase& seconds) override {
    statistics_.reset();
    frequencies_ = model::rope_frequencies(settings_.model, gathering.full.index);
    std::optional<DeviceBlock<E>> replaced;  // on x~'s way, once layers are quantized
    const auto full = comm::agree(ranks_, [&] {
      if (!gathering.one_block()) replaced.emplace(uploaded(gathering.quant));
      return taken(gathering.full);
    });
    auto sums = gather_on_device<E>(rank(), gathering, {full, replaced ? *replaced : full}, states,
                                    seconds, kept);
    statistics_.emplace(gpu_, gathering.shape, std::move(sums), frequencies_,
                        states.shard().length);
  }
  void use_sums(const Block& block, LayerInputs& inputs) override {
    CONSTRICTOR_REQUIRE(statistics_.has_value());
    statistics_->use(block, inputs);
  }
  std::vector<QuantizedLayer> solve(const LayerInputs& inputs, SecondsByPhase& seconds) override {
    DeviceSolver solver(ranks_, gpu_, devices_, inputs,
                        statistics_.has_value() ? &*statistics_ : nullptr);
    return solve_block(ranks_, inputs, solver, seconds);
  }

  OutputError advance_quantized(const Block& block, calib::HiddenStates& states,
                                SecondsByPhase& seconds) override {
    const auto on_device = comm::agree(ranks_, [&] { return uploaded(block); });
    return advance_on_device<E>(rank(), {block, on_device}, states, seconds);
  }
  void advance_full(const Block& block, calib::HiddenStates& states) override {
    const auto on_device = taken(block);
    const auto& shard = states.shard();
    Moving<E> moving(gpu_, settings_.model, on_device, shard.length);
    const auto rows = calib::rows_of(shard, calib::my_chunks(shard));
    walk_chunks(gpu_, {{states.full.view()}, {states.full.view()}, rows}, moving);
  }

  void advance(const Block& block, const std::vector<Sequences>& all) override {
    const auto on_device = uploaded(block);
    for (const auto& [states, length, chunk] : all) {
      Moving<E> moving(gpu_, settings_.model, on_device, length);
      walk_chunks(gpu_, {{states}, {states}, pieces_of(states.rows, chunk * length)}, moving);
    }
  }
  std::vector<eval::WindowScore> score(const ModelEnds& ends, View<const float> full,
                                       View<const float> quant,
                                       View<const std::int32_t> ids) override {
    const auto on_device = model::uploaded<E>(gpu_, settings_.model, ends);
    const auto head_input = [&](View<const float> states, const Piece& windows) {
      if (states.rows == 0) return device::DeviceMatrix<E>();
      const auto hidden = device::uploaded<float>(
          gpu_, states.rows_from(windows.first * ids.cols, windows.size() * ids.cols),
          "last hidden states");
      return model::head_input<E>(gpu_, settings_.model, on_device, hidden.view());
    };
    std::vector<eval::WindowScore> scores;
    const Index width = std::max<Index>(1, calib::device_chunk_tokens / ids.cols);
    for (const Piece& windows : pieces_of(ids.rows, width)) {
      leave_when_asked();
      const auto full_input = head_input(full, windows), quant_input = head_input(quant, windows);
      const auto some =
          eval::score_windows<E>(gpu_, on_device.head.view(), full_input.view(), quant_input.view(),
                                 ids.rows_from(windows.first, windows.size()),
                                 static_cast<float>(settings_.model.final_soft_cap));
      scores.insert(scores.end(), some.begin(), some.end());
    }
    return scores;
  }

  std::vector<eval::TokenScore> score_tokens(const ModelEnds& ends, View<const float> states,
                                             std::span<const std::int32_t> targets,
                                             const std::vector<Piece>& parts) override {
    const auto on_device = model::uploaded<E>(gpu_, settings_.model, ends);
    std::vector<eval::TokenScore> scores;
    for (const Piece& part : parts) {
      leave_when_asked();
      const auto hidden = device::uploaded<float>(gpu_, states.rows_from(part.first, part.size()),
                                                  "last hidden states");
      const auto input = model::head_input<E>(gpu_, settings_.model, on_device, hidden.view());
      const auto some =
          eval::score_tokens<E>(gpu_, on_device.head.view(), input.view(), part_of(targets, part),
                                static_cast<float>(settings_.model.final_soft_cap));
      scores.insert(scores.end(), some.begin(), some.end());
    }
    return scores;
  }

  TaskCut cut() const override { return device_cut; }
  std::optional<DeviceRoom> device_room() const override {
    return DeviceRoom{static_cast<double>(gpu_.memory().free), gpu_.name()};
  }
  Index take_peak_device_memory() override {
    const Index peak = gpu_.memory().peak;
    gpu_.reset_peak();
    return peak;
  }
  std::string product_library() const override {
    return "CUDA " + device::cuda_description() + "; NCCL: " + devices_.library();
  }

 private:
  DeviceRank rank() const { return {ranks_, gpu_, devices_, settings_.model, settings_.reduction}; }
  DeviceBlock<E> uploaded(const Block& block) {
    auto on_device = model::uploaded<E>(gpu_, block);
    gpu_.main().wait_for(gpu_.copies());
    return on_device;
  }
  /// The block that was staged, or uploaded now.
  DeviceBlock<E> taken(const Block& block) {
    {
      const std::lock_guard lock(staging_);
      if (staged_.has_value() && staged_->index == block.index) {
        DeviceBlock<E> on_device = std::move(*staged_);
        staged_.reset();
        gpu_.main().wait_for(gpu_.copies());
        return on_device;
      }
    }
    return uploaded(block);
  }

  const comm::Communicator& ranks_;
  BackendSettings settings_;
  std::vector<float> frequencies_;
  device::Context gpu_;
  comm::DeviceCommunicator devices_;
  std::mutex staging_;
  std::optional<DeviceBlock<E>> staged_;
  std::optional<DeviceStatistics> statistics_;
};

}  // namespace

std::unique_ptr<Backend> make_device_backend(const comm::Communicator& ranks,
                                             const device::Device& device,
                                             const BackendSettings& settings) {
  if (settings.products == Products::bfloat16)
    return std::make_unique<DeviceBackend<bfloat16>>(ranks, device.number, settings);
  return std::make_unique<DeviceBackend<float>>(ranks, device.number, settings);
}

}  // namespace constrictor::backend
