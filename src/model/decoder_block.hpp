// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of model/: the block function behind `forward`.

#include "model/forward.hpp"
#include "model/past.hpp"

namespace constrictor::model {

/// The arguments of `forward`, all but the hidden states.
struct Step {
  const ModelSpec& spec;
  const Block& block;
  Index length;
  Products products;
  Keep keep;
  Until until = Until::end;
  Past* past = nullptr;  // of the one sequence whose next tokens these are
  /// Whose tokens the experts' inputs are kept for; null: those that each expert is used for here.
  const std::vector<ExpertTrace>* tokens_as = nullptr;

  /// Frees a matrix that the caller did not ask to keep.
  void done_with(Matrix<float>& matrix) const {
    if (keep == Keep::output_only) matrix = {};
  }
};

BlockTrace decoder_block(const Step& step, View<const float> hidden);

}  // namespace constrictor::model
