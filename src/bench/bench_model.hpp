// SPDX-License-Identifier: Apache-2.0
#pragma once
// A model of some shape out of nothing but a seed: the same numbers on every machine and any number
// of threads and ranks, in memory as if they had been read from files.

#include <cstdint>

#include "data/block.hpp"
#include "data/model_spec.hpp"

namespace constrictor::bench {

/// A block with names, roles and sizes and nothing in its weights: untouched, they take no memory.
Block outline(const ModelSpec& model);

/// Weights N(0, 1 / in), rounded to bfloat16; norms 1, biases 0. With them a layer's output has the
/// variance of its input, so that activations stay finite through any number of blocks.
Block random_block(const ModelSpec& model, Index index, Products products, std::uint64_t seed);

/// What enters block 0 of the sequences [first, last), [(last - first) * length x hidden]:
/// N(0, s²), s between 1/2 and 2, another one for each channel (as in a model, where the channels'
/// sizes differ).
Matrix<float> random_hidden_states(const ModelSpec& model, Index first, Index last, Index length,
                                   std::uint64_t seed);

}  // namespace constrictor::bench
