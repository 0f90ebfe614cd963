// SPDX-License-Identifier: Apache-2.0
// The backend on the host, complete and the oracle of the other one.
#include <algorithm>
#include <optional>

#include "backend/backend.hpp"
#include "backend/gather_statistics.hpp"
#include "backend/host_solver.hpp"
#include "backend/solve_block.hpp"
#include "core/stop_flag.hpp"
#include "eval/scoring.hpp"
#include "linalg/gemm.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"
#include "model/rope.hpp"

namespace constrictor::backend {
namespace {

class HostBackend final : public Backend {
 public:
  HostBackend(const comm::Communicator& ranks, const BackendSettings& settings)
      : ranks_(ranks), settings_(settings) {}

  Index chunk_tokens() const override { return calib::chunk_tokens; }
  void stage(const Block&) override {}  // the weights lie where they are used

  std::shared_ptr<void> pinned(View<float>) override { return nullptr; }

  Matrix<float> embed(const ModelEnds& ends, View<const std::int32_t> ids) override {
    return model::embed(settings_.model, ends, ids);
  }

  void gather(const Gathering& gathering, calib::HiddenStates& states, KeptInputs* kept,
              SecondsByPhase& seconds) override {
    shape_ = gathering.shape;
    frequencies_ = model::rope_frequencies(settings_.model, gathering.full.index);
    length_ = states.shard().length;
    sums_.reset();
    sums_.emplace(gather_statistics(ranks_, settings_.model, gathering,
                                    {settings_.products, settings_.reduction}, states, seconds,
                                    kept));
  }
  void use_sums(const Block& block, LayerInputs& inputs) override {
    CONSTRICTOR_REQUIRE(sums_.has_value());
    backend::use_sums(shape_, sums_->sums, block, frequencies_, length_, inputs);
    if (sums_->fold)
      inputs.fold_statistics = [this](const InputUnit& unit) {
        return hessian::input_statistics(fold_of(shape_), *sums_->fold, unit.place, unit.head);
      };
  }
  std::vector<QuantizedLayer> solve(const LayerInputs& inputs, SecondsByPhase& seconds) override {
    HostSolver solver(ranks_, inputs);
    return solve_block(ranks_, inputs, solver, seconds);
  }

  OutputError advance_quantized(const Block& block, calib::HiddenStates& states,
                                SecondsByPhase& seconds) override {
    return backend::advance_quantized(ranks_, settings_.model, block, settings_.products, states,
                                      seconds);
  }
  void advance_full(const Block& block, calib::HiddenStates& states) override {
    backend::advance_full(settings_.model, block, settings_.products, states);
  }

  void advance(const Block& block, const std::vector<Sequences>& all) override {
    for (const auto& [states, length, chunk] : all)
      for (Index first = 0; first < states.rows; first += chunk * length) {
        leave_when_asked();
        const auto rows = states.rows_from(first, std::min(chunk * length, states.rows - first));
        const auto trace = model::forward(settings_.model, block, rows, length, settings_.products,
                                          model::Keep::output_only);
        std::copy(trace.output.data(), trace.output.data() + trace.output.size(), rows.data);
      }
  }
  std::vector<eval::WindowScore> score(const ModelEnds& ends, View<const float> full,
                                       View<const float> quant,
                                       View<const std::int32_t> ids) override {
    const eval::OutputHead head(ends.head().view(), settings_.products,
                                static_cast<float>(settings_.model.final_soft_cap));
    const auto quant_input = model::head_input(settings_.model, ends, quant);
    const auto full_input =
        full.rows > 0 ? model::head_input(settings_.model, ends, full) : Matrix<float>();
    return eval::score_windows(head, full_input.view(), quant_input.view(), ids);
  }

  std::vector<eval::TokenScore> score_tokens(const ModelEnds& ends, View<const float> states,
                                             std::span<const std::int32_t> targets,
                                             const std::vector<Piece>& parts) override {
    const eval::OutputHead head(ends.head().view(), settings_.products,
                                static_cast<float>(settings_.model.final_soft_cap));
    std::vector<eval::TokenScore> scores;
    for (const Piece& part : parts) {
      leave_when_asked();
      const auto input =
          model::head_input(settings_.model, ends, states.rows_from(part.first, part.size()));
      const auto some = eval::score_tokens(head, input.view(), part_of(targets, part));
      scores.insert(scores.end(), some.begin(), some.end());
    }
    return scores;
  }

  TaskCut cut() const override { return host_cut; }
  std::optional<DeviceRoom> device_room() const override { return std::nullopt; }
  Index take_peak_device_memory() override { return 0; }
  std::string product_library() const override { return linalg::product_library(); }

 private:
  const comm::Communicator& ranks_;
  BackendSettings settings_;
  std::vector<float> frequencies_;
  SumShape shape_;
  Index length_ = 0;
  std::optional<GatheredSums> sums_;
};

}  // namespace

void require_device_can(const ModelSpec& model) {
  if (model.experts > 0)
    throw UserError("run.device: cuda cannot run mixtures of experts yet; use run.device=cpu");
  if (model.activation == Activation::relu && !model.mlp_bias)
    throw UserError("run.device: cuda cannot run ReLU without biases yet; use run.device=cpu");
}

std::unique_ptr<Backend> make_backend(const comm::Communicator& ranks, const device::Device& device,
                                      const BackendSettings& settings) {
  if (device.name == "cuda") {
    require_device_can(settings.model);
    return make_device_backend(ranks, device, settings);
  }
  return std::make_unique<HostBackend>(ranks, settings);
}

}  // namespace constrictor::backend
