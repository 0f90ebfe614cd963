// SPDX-License-Identifier: Apache-2.0
#include "model/forward.hpp"

#include "model/blocks.hpp"

namespace constrictor::model {

BlockTrace forward(const ModelSpec& spec, const Block& block, View<const float> hidden,
                   Index length, Products products, Keep keep, Until until) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden, hidden.cols, spec.hidden);
  CONSTRICTOR_REQUIRE(length > 0 && hidden.rows % length == 0, hidden.rows, length);
  const Step step{spec, block, length, products, keep, until};
  switch (spec.family) {
    case Family::llama:
      return llama_block(step, hidden);
    case Family::opt:
      return opt_block(step, hidden);
  }
  throw Bug("model family without a forward pass");
}

}  // namespace constrictor::model
