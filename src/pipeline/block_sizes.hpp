// SPDX-License-Identifier: Apache-2.0
#pragma once
// What predictions of memory, time and disk need to know of a block.

#include <vector>

#include "backend/layer_inputs.hpp"
#include "data/block_sums.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {

/// The most of a block's sums that a run needs, over all blocks: in one step, and of all steps.
SumShape largest_sum_shape(const Job& job, const backend::BlockStep& step);
SumShape largest_sum_shape(const Job& job);

/// The input sides that a step of a block with these options factors; without its weights.
std::vector<backend::InputUnit> planned_units(const Job& job, const std::vector<QuantSpec>& specs,
                                              Index length, const backend::BlockStep& step);

/// Some layer of the deck is swept with more than one prefix.
bool any_beam(const Job& job);

/// Numbers in the linear layers of one block.
double block_weights(const Job& job);
/// Numbers in embeddings and head.
double end_weights(const ModelSpec& model);

}  // namespace constrictor::pipeline
