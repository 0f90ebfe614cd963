// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

/// What a layer would cost at every width it may have, and the width it got.
struct LayerWidths {
  Index block = 0;
  std::string layer;                 // "mlp.down_proj"
  Index weights = 0;                 // how many
  std::vector<int> bits;             // allowed, ascending; one where the deck says so
  std::vector<double> loss;          // [bits] L(Q) / tr(H_out W H_in W'); empty for a single width
  std::vector<double> output_error;  // [bits] relative error of the block's output with this layer
                                     // quantized alone: measured at bits[0], then as `loss`; empty
                                     // for a single width
  int chosen = 0;
};

}  // namespace constrictor
