// SPDX-License-Identifier: Apache-2.0
#include "model/attention.hpp"

#include <cmath>

#include "core/parallel.hpp"
#include "linalg/attention_probabilities.hpp"
#include "linalg/gemm.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
using linalg::Transpose;

AttentionForm attention_form(const ModelSpec& spec, Index block) {
  const double width =
      spec.query_pre_attention > 0 ? spec.query_pre_attention : static_cast<double>(spec.head_dim);
  return {.scale = static_cast<float>(1.0 / std::sqrt(width)),
          .window = slides(spec, block) ? spec.window : 0,
          .soft_cap = static_cast<float>(spec.attention_soft_cap)};
}

Matrix<float> attention(const ModelSpec& spec, const AttentionForm& form, Index length,
                        View<const float> query, View<const float> key, View<const float> value) {
  const Index d = spec.head_dim, heads = spec.heads, sequences = query.rows / length;
  CONSTRICTOR_REQUIRE(spec.kv_heads > 0 && heads % spec.kv_heads == 0, heads, spec.kv_heads);
  CONSTRICTOR_REQUIRE(
      query.cols == heads * d && key.cols == spec.kv_heads * d && value.cols == key.cols,
      query.cols, key.cols, value.cols, heads, d);
  const Index heads_per_group = heads / spec.kv_heads;
  auto result = Matrix<float>::uninitialized(query.rows, query.cols);

  parallel_for(sequences * heads, [&](Index task) {
    const Index first = task / heads * length, head = task % heads, group = head / heads_per_group;
    const auto q = query.block(first, head * d, length, d);
    const auto k = key.block(first, group * d, length, d);
    const auto v = value.block(first, group * d, length, d);
    const auto y = result.view().block(first, head * d, length, d);

    // A tile of queries against the keys before it: half the products, and never a length x length
    // matrix.
    Matrix<float> scratch =
        Matrix<float>::uninitialized(std::min(linalg::attention_tile, length), length);
    for (Index i = 0; i < pieces(length, linalg::attention_tile); ++i) {
      const Piece tile = piece(length, linalg::attention_tile, i);
      const View<float> probabilities{scratch.data(), tile.size(), tile.last, tile.last};
      linalg::attention_rows(q.rows_from(tile.first, tile.size()), k.rows_from(0, tile.last),
                             tile.first, form, probabilities);
      linalg::gemm<float>(Transpose::no, Transpose::no, 1.0f, read_only(probabilities),
                          v.rows_from(0, tile.last), 0.0f, y.rows_from(tile.first, tile.size()));
    }
  });
  return result;
}

}  // namespace constrictor::model
