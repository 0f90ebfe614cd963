// SPDX-License-Identifier: Apache-2.0
#pragma once
// The walk of calibration sequences through one block, on the host.
#include <optional>

#include "backend/backend.hpp"
#include "calib/hidden_states.hpp"
#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/block.hpp"
#include "data/block_sums.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"

namespace constrictor::backend {

struct GatherSettings {
  Products products = Products::float32;
  Reduction reduction = Reduction::exact;
};

struct GatheredSums {
  BlockSums sums;
  std::optional<BlockSums> fold;  // of held-out lanes, where there is drift
};

/// Collective: Backend::gather; every rank gets the sums.
GatheredSums gather_statistics(const comm::Communicator& ranks, const ModelSpec& model,
                               const Gathering& gathering, const GatherSettings& settings,
                               calib::HiddenStates& states, SecondsByPhase& seconds,
                               KeptInputs* kept = nullptr);

/// Collective: moves `states.quant` through the quantized block and compares with `states.full`.
OutputError advance_quantized(const comm::Communicator& ranks, const ModelSpec& model,
                              const Block& block, Products products, calib::HiddenStates& states,
                              SecondsByPhase& seconds);

/// Moves `states.full` through the block without statistics (a resumed run).
void advance_full(const ModelSpec& model, const Block& block, Products products,
                  calib::HiddenStates& states);

}  // namespace constrictor::backend
