// SPDX-License-Identifier: Apache-2.0
#pragma once
// Everything a run needs, opened and checked against each other before any work is done.

#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "data/block.hpp"
#include "data/quantized_layer.hpp"
#include "data/specs.hpp"
#include "data/tokens.hpp"
#include "io/checkpoint.hpp"

namespace constrictor::pipeline {

struct Job {
  RunSpec spec;
  io::Checkpoint checkpoint;
  Products products = Products::float32;  // resolved
  Tokens calibration;                     // the sequences in use
  std::vector<Tokens> evaluation;
  std::vector<Role> roles;                    // of a block's layers, in their order
  std::vector<std::vector<QuantSpec>> specs;  // [blocks][layers], overrides applied
  std::string sample_sha256;                  // of the model
  std::string run_id;                         // 16 hexadecimal digits
  std::string folder;                         // <out>/<run id>, or --run-dir

  /// Opens the model; the rest is filled in by open_job.
  explicit Job(const RunSpec& run) : spec(run), checkpoint(run.model.path) {}
  const ModelSpec& model() const { return checkpoint.spec(); }
};

/// Collective. UserError, the same on every rank, when anything does not fit.
Job open_job(const comm::Communicator& ranks, const RunSpec& spec);

/// Turns an opened job to another run on the same model and tokens: `spec` may differ in `quant`
/// and `run`, and nothing is read again. UserError when it does not fit the model.
void turn_to(const RunSpec& spec, Job& job);

/// What turn_to makes of the identity alone.
std::string run_id_of(const RunSpec& spec, const Job& job);

/// Roles of a block's layers, in the order of Block::layers, and the number of inputs of each.
std::vector<Role> layer_roles(const ModelSpec& model);
Index layer_inputs(const ModelSpec& model, Role role);
Index layer_outputs(const ModelSpec& model, Role role);

/// Token files of the deck, read and checked; `wanted_sha256` may be empty.
Tokens open_tokens(const std::string& path, const io::Checkpoint& checkpoint,
                   const std::string& wanted_sha256);

/// Puts dequantized weights in the place of the block's own.
void apply(const std::vector<QuantizedLayer>& layers, Products products, Block& block);

}  // namespace constrictor::pipeline
