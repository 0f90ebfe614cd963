// SPDX-License-Identifier: Apache-2.0
#include "model/forward.hpp"

#include "model/decoder_block.hpp"

namespace constrictor::model {

BlockTrace forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                   Index length, Products products, Keep keep, Until until) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden, hidden.cols, spec.hidden);
  CONSTRICTOR_REQUIRE(length > 0 && hidden.rows % length == 0, hidden.rows, length);
  return decoder_block({spec, block, length, products, keep, until}, hidden);
}

Matrix<float> forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                      Products products, Past& past) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden && hidden.rows > 0, hidden.cols, spec.hidden);
  return decoder_block({spec, block, hidden.rows, products, Keep::output_only, &past}, hidden)
      .output;
}

}  // namespace constrictor::model
