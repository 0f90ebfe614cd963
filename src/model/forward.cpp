// SPDX-License-Identifier: Apache-2.0
#include "model/forward.hpp"

#include "model/decoder_block.hpp"

namespace constrictor::model {

BlockTrace forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                   Index length, Products products, Keep keep,
                   const BlockTrace* experts_as) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden, hidden.cols, spec.hidden);
  CONSTRICTOR_REQUIRE(length > 0 && hidden.rows % length == 0, hidden.rows, length);
  return decoder_block({spec, block, length, products, keep,
                        experts_as != nullptr ? &experts_as->experts : nullptr},
                       hidden);
}

}  // namespace constrictor::model
