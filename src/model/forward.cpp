// SPDX-License-Identifier: Apache-2.0
#include "model/forward.hpp"

#include "model/decoder_block.hpp"

namespace constrictor::model {

BlockTrace forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                   Index length, Products products, Keep keep, Until until,
                   const BlockTrace* experts_as) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden, hidden.cols, spec.hidden);
  CONSTRICTOR_REQUIRE(length > 0 && hidden.rows % length == 0, hidden.rows, length);
  Step step{spec, block, length, products, keep, until};
  if (experts_as != nullptr) step.tokens_as = &experts_as->experts;
  return decoder_block(step, hidden);
}

Matrix<float> forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                      Products products, Past& past) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden && hidden.rows > 0, hidden.cols, spec.hidden);
  Step step{spec, block, hidden.rows, products, Keep::output_only};
  step.past = &past;
  return decoder_block(step, hidden).output;
}

}  // namespace constrictor::model
