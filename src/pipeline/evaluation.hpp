// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <vector>

#include "backend/backend.hpp"
#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/quantized_layer.hpp"
#include "data/scores.hpp"
#include "data/tokens.hpp"
#include "io/checkpoint.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// The quantized layers of one block; empty function: the model is evaluated as it is.
using QuantizedBlocks = std::function<std::vector<QuantizedLayer>(Index block)>;

struct EvaluationSettings {
  Products products = Products::float32;
  bool kl = true;  // against full precision; needs a second forward pass
};

/// Collective: scores on every token file, block by block so that each block is read once. Windows
/// are cut into fixed chunks and those dealt out to ranks: no score depends on the number of ranks.
std::vector<Scores> evaluate(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                             backend::Backend& backend, const QuantizedBlocks& quantized,
                             const std::vector<Tokens>& sets, const EvaluationSettings& settings,
                             SecondsByPhase& seconds, Screen& screen);

/// The table's number: "15.66", "1.2e+04".
std::string perplexity_text(double perplexity);

}  // namespace constrictor::pipeline
