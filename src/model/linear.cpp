// SPDX-License-Identifier: Apache-2.0
#include "model/linear.hpp"

#include "kernels/add_bias.hpp"
#include "kernels/round_to_bfloat16.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::model {
using linalg::Transpose;
namespace {

// Where only bfloat16 products are needed, the float32 weight may have been let go.
Index outputs(const Layer& layer) {
  return layer.weight.empty() ? layer.weight_bf16.rows() : layer.weight.rows();
}
Index inputs(const Layer& layer) {
  return layer.weight.empty() ? layer.weight_bf16.cols() : layer.weight.cols();
}

}  // namespace

LinearInput::LinearInput(View<float> x, Products products) : x_(read_only(x)), products_(products) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  if (products == Products::float32) return;
  rounded_ = Matrix<bfloat16>::uninitialized(x.rows, x.cols);
  kernels::round_to_bfloat16(x, rounded_.view());
}

Matrix<float> LinearInput::times(const Layer& layer) const {
  auto y = Matrix<float>::uninitialized(x_.rows, outputs(layer));
  multiply(layer, 0.0f, y.view());
  return y;
}

void LinearInput::add_times(const Layer& layer, View<float> y) const { multiply(layer, 1.0f, y); }

void LinearInput::multiply(const Layer& layer, float beta, View<float> y) const {
  const Index out = outputs(layer), in = inputs(layer);
  CONSTRICTOR_REQUIRE(x_.cols == in && y.rows == x_.rows && y.cols == out, layer.name, x_.rows,
                      x_.cols, out, in, y.rows, y.cols);
  if (products_ == Products::float32) {
    linalg::gemm<float>(Transpose::no, Transpose::yes, 1.0f, x_, layer.weight.view(), beta, y);
  } else {
    const auto& rounded_weight = layer.weight_bf16;
    CONSTRICTOR_REQUIRE(rounded_weight.rows() == out && rounded_weight.cols() == in, layer.name,
                        rounded_weight.rows(), rounded_weight.cols());
    linalg::gemm(Transpose::no, Transpose::yes, rounded_.view(), rounded_weight.view(), beta, y);
  }
  if (!layer.bias.empty()) kernels::add_bias(layer.bias, y);
}

}  // namespace constrictor::model
