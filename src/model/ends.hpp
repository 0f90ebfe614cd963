// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "data/block.hpp"
#include "data/model_spec.hpp"

namespace constrictor::model {

/// Hidden states that enter block 0, [sequences * length x hidden].
/// OPT: projected from embedding_width to hidden where the two differ, plus learned positions (row
/// t + 2).
///
///   ids  [sequences x length]
///   first_position  of the first token of each sequence
Matrix<float> embed(const ModelSpec& spec, const ModelEnds& ends, View<const std::int32_t> ids,
                    Index first_position = 0);

/// What is multiplied with the head: the last block's output after the final norm and OPT's
/// projection, where the model has them; [tokens x embedding_width].
Matrix<float> head_input(const ModelSpec& spec, const ModelEnds& ends, View<const float> hidden);

}  // namespace constrictor::model
