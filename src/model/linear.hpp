// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/block.hpp"

namespace constrictor::model {

/// The input of one or more linear layers, made ready for their products once.
/// With bfloat16 products the caller's matrix is rounded in place, so that statistics formed from
/// it later are those of what was multiplied.
class LinearInput {
 public:
  LinearInput(View<float> x, Products products);

  /// y = x W' + b, [tokens x out].
  Matrix<float> times(const Layer& layer) const;
  /// y <- y + x W' + b, y [tokens x out].
  void add_times(const Layer& layer, View<float> y) const;

 private:
  void multiply(const Layer& layer, float beta, View<float> y) const;
  View<const float> x_;
  Products products_;
  Matrix<bfloat16> rounded_;  // [tokens x in], with bfloat16 products
};

/// x W' + b for a single layer that needs its input no more.
inline Matrix<float> linear(const Layer& layer, View<float> x, Products products) {
  return LinearInput(x, products).times(layer);
}

}  // namespace constrictor::model
