// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "backend/block_solver.hpp"
#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/quantized_layer.hpp"

namespace constrictor::backend {

/// Collective: quantizes all layers of a block; every rank gets all results.
/// Factorizations go to ranks by cost and are broadcast; then every tile of rows (and every head of
/// a two-sided layer) is a task of its own, dealt out longest first. The results do not depend on
/// who does what.
std::vector<QuantizedLayer> solve_block(const comm::Communicator& ranks, const LayerInputs& inputs,
                                        BlockSolver& solver, SecondsByPhase& seconds);

}  // namespace constrictor::backend
