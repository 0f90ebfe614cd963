// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where the phases of a block are computed: on the host (backend_host.cpp) or on a device
// (backend_gpu.cpp). The walk over blocks, files and screens know this interface only. Hidden
// states, blocks and results live on the host in both.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/kept_inputs.hpp"
#include "backend/row_tasks.hpp"
#include "backend/walk_checks.hpp"
#include "calib/hidden_states.hpp"
#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/block.hpp"
#include "data/block_sums.hpp"
#include "data/model_spec.hpp"
#include "data/quantized_layer.hpp"
#include "data/specs.hpp"
#include "device/device.hpp"
#include "eval/continuation.hpp"
#include "model/forward.hpp"

namespace constrictor::backend {

/// Whole sequences that lie one below the other, [sequences * length x hidden], and go through a
/// block in chunks; a chunk's result does not depend on who else is there.
struct Sequences {
  View<float> states;
  Index length = 0;
  Index chunk = 1;  // sequences that go together at most
};

/// What is gathered in one step of a block.
struct Gathering {
  const Block& full;   // full-precision weights, for x
  const Block& quant;  // for x~: layers quantized in earlier steps of this block replaced; the same
                       // object as `full` while there are none
  SumShape shape;
  bool last = true;          // moves `states.full` on
  Index held_out_lanes = 0;  // the last lanes, which have sums of their own

  bool with_fold() const { return held_out_lanes > 0 && shape.drift; }
  bool one_block() const { return &full == &quant; }
  /// Both paths see the same inputs and the same weights.
  bool one_path(const calib::HiddenStates& states) const { return states.equal && one_block(); }
  /// How far a pass has to go.
  model::Until until() const {
    if (last) return model::Until::end;
    if (shape.mlp_input) return model::Until::mlp;
    return shape.output_input ? model::Until::output : model::Until::attention;
  }
};

struct BackendSettings {
  const ModelSpec& model;  // must outlive the backend
  Products products = Products::float32;
  Reduction reduction = Reduction::exact;
};

class Backend {
 public:
  virtual ~Backend() = default;

  /// Tokens that a chunk holds at most, unless a single sequence is longer: part of what decides
  /// the bits of a result, so a constant of the backend.
  virtual Index chunk_tokens() const = 0;

  /// Makes a block ready ahead of its turn, on the thread that read it: a device takes its weights
  /// while the block before it is worked on.
  virtual void stage(const Block& block) = 0;

  /// Lets a device reach host memory by itself as long as the result lives; null on the host.
  virtual std::shared_ptr<void> pinned(View<float> memory) = 0;

  /// Hidden states that enter block 0, [sequences * length x hidden]; ids [sequences x length].
  virtual Matrix<float> embed(const ModelEnds& ends, View<const std::int32_t> ids) = 0;

  /// Collective: runs the block on x~ (and on x, where the two differ), adds up the sums of the
  /// step over all lanes, and in the last one moves `states.full` on to the block's output.
  /// The sums stay here until the next call. NumericalError names block, place and first sequence
  /// of a NaN or Inf; Preempted when a stop was asked for.
  virtual void gather(const Gathering& gathering, calib::HiddenStates& states, KeptInputs* kept,
                      SecondsByPhase& seconds) = 0;
  /// Gives `inputs` its statistics from the sums of the last `gather`, of the same block; valid
  /// until the next one.
  virtual void use_sums(const Block& block, LayerInputs& inputs) = 0;
  /// Collective: quantizes all layers of `inputs`; every rank gets all results (solve_block.hpp).
  virtual std::vector<QuantizedLayer> solve(const LayerInputs& inputs, SecondsByPhase& seconds) = 0;

  /// Collective: moves `states.quant` through the quantized block, compares with `states.full`.
  virtual OutputError advance_quantized(const Block& block, calib::HiddenStates& states,
                                        SecondsByPhase& seconds) = 0;
  /// Moves `states.full` through the block without statistics (a resumed run).
  virtual void advance_full(const Block& block, calib::HiddenStates& states) = 0;

  /// Moves sequences through a block, for evaluation.
  virtual void advance(const Block& block, const std::vector<Sequences>& all) = 0;
  /// Scores of windows from their last hidden states, [windows * length x hidden]; `full` without
  /// rows: no comparison. ids [windows x length].
  virtual std::vector<eval::WindowScore> score(const ModelEnds& ends, View<const float> full,
                                               View<const float> quant,
                                               View<const std::int32_t> ids) = 0;
  /// Scores tokens from the last hidden states of the positions before them, states [tokens x
  /// hidden], in the parts given: a part's bits do not depend on the others.
  virtual std::vector<eval::TokenScore> score_tokens(const ModelEnds& ends,
                                                     View<const float> states,
                                                     std::span<const std::int32_t> targets,
                                                     const std::vector<Piece>& parts) = 0;

  /// How `solve` cuts rows into tasks that ranks share out.
  virtual TaskCut cut() const = 0;

  /// Bytes that may be allocated on the device and its name, for messages; nothing on the host.
  struct DeviceRoom {
    double free;
    std::string name;
  };
  virtual std::optional<DeviceRoom> device_room() const = 0;
  /// The most device memory that was in use since the last call, bytes; 0 on the host.
  virtual Index take_peak_device_memory() = 0;
  /// For the record: "oneDNN 2.6.3 (bfloat16)", "cuBLAS 13.0.2".
  virtual std::string product_library() const = 0;
};

/// UserError when no device can run such a model; `make_backend` asks, others may before their work.
void require_device_can(const ModelSpec& model);

/// Collective. The backend of the device that was chosen. `ranks` must outlive it.
std::unique_ptr<Backend> make_backend(const comm::Communicator& ranks, const device::Device& device,
                                      const BackendSettings& settings);

/// backend_gpu.cpp or backend_none.cpp.
std::unique_ptr<Backend> make_device_backend(const comm::Communicator& ranks,
                                             const device::Device& device,
                                             const BackendSettings& settings);

}  // namespace constrictor::backend
