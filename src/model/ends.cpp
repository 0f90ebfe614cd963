// SPDX-License-Identifier: Apache-2.0
#include "model/ends.hpp"

#include "kernels/embed.hpp"
#include "kernels/norm.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::model {
namespace {

/// x W'
Matrix<float> projected(const Matrix<float>& x, const Matrix<float>& W) {
  auto y = Matrix<float>::uninitialized(x.rows(), W.rows());
  linalg::gemm<float>(linalg::Transpose::no, linalg::Transpose::yes, 1.0f, x.view(), W.view(), 0.0f,
                      y.view());
  return y;
}

}  // namespace

Matrix<float> embed(const ModelSpec& spec, const ModelEnds& ends, View<const std::int32_t> ids,
                    Index first_position) {
  constexpr Index opt_position_offset = 2;  // rows 0 and 1 of the table are for padding
  auto hidden = Matrix<float>::uninitialized(ids.size(), ends.token_embedding.cols());
  kernels::embed(ends.token_embedding.view(), ids, hidden.view());
  if (spec.embedding_scale != 1)
    for (float& v : hidden.values()) v *= static_cast<float>(spec.embedding_scale);
  if (!ends.project_in.empty()) hidden = projected(hidden, ends.project_in);
  if (!ends.position_embedding.empty())
    kernels::add_positions(ends.position_embedding.view(), opt_position_offset + first_position,
                           ids.cols, hidden.view());
  CONSTRICTOR_REQUIRE(hidden.cols() == spec.hidden, hidden.cols(), spec.hidden);
  return hidden;
}

Matrix<float> head_input(const ModelSpec& spec, const ModelEnds& ends, View<const float> hidden) {
  Matrix<float> result(hidden);
  const Norm& norm = ends.final_norm;
  if (!norm.weight.empty()) {
    if (spec.norm_style == NormStyle::rms)
      kernels::rms_norm(hidden, norm.weight, spec.norm_eps, result.view());
    else
      kernels::layer_norm(hidden, norm.weight, norm.bias, spec.norm_eps, result.view());
  }
  if (!ends.project_out.empty()) result = projected(result, ends.project_out);
  return result;
}

}  // namespace constrictor::model
