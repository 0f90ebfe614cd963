// SPDX-License-Identifier: Apache-2.0
#include "model/past.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "linalg/attention_probabilities.hpp"
#include "linalg/gemm.hpp"
#include "model/rope.hpp"

namespace constrictor::model {
using linalg::Transpose;

Past::Past(const ModelSpec& spec, const Block& block, Index most)
    : key_(Matrix<float>::uninitialized(most, spec.kv_heads * spec.head_dim)),
      value_(Matrix<float>::uninitialized(most, spec.kv_heads * spec.head_dim)) {
  if (spec.rotary) table_ = rope_table(spec, block.index, most);
}

kernels::RopeTable Past::rope(Index fresh) const {
  CONSTRICTOR_REQUIRE(tokens_ + fresh <= table_.positions(), tokens_, fresh, table_.positions());
  return {Matrix<float>(table_.cos.view().rows_from(tokens_, fresh)),
          Matrix<float>(table_.sin.view().rows_from(tokens_, fresh))};
}

Matrix<float> Past::attention(const ModelSpec& spec, const AttentionForm& form,
                              View<const float> query, View<const float> key,
                              View<const float> value) {
  const Index fresh = query.rows, d = spec.head_dim, first = tokens_, all = first + fresh;
  const Index heads_per_group = spec.heads / spec.kv_heads;
  CONSTRICTOR_REQUIRE(all <= key_.rows() && key.rows == fresh && value.rows == fresh, all, fresh,
                      key_.rows(), key.rows, value.rows);
  for (Index t = 0; t < fresh; ++t) {
    std::copy_n(key.row(t), key.cols, key_.row(first + t));
    std::copy_n(value.row(t), value.cols, value_.row(first + t));
  }
  tokens_ = all;

  auto result = Matrix<float>::uninitialized(fresh, query.cols);
  parallel_for(spec.heads, [&](Index head) {
    const Index group = head / heads_per_group;
    const auto q = query.block(0, head * d, fresh, d);
    const auto y = result.view().block(0, head * d, fresh, d);
    auto scratch = Matrix<float>::uninitialized(std::min(linalg::attention_tile, fresh), all);
    for (Index i = 0; i < pieces(fresh, linalg::attention_tile); ++i) {
      const Piece tile = piece(fresh, linalg::attention_tile, i);
      const Index keys = first + tile.last;
      const View<float> probabilities{scratch.data(), tile.size(), keys, keys};
      linalg::attention_rows(q.rows_from(tile.first, tile.size()),
                             read_only(key_.view()).block(0, group * d, keys, d),
                             first + tile.first, form, probabilities);
      linalg::gemm<float>(Transpose::no, Transpose::no, 1.0f, read_only(probabilities),
                          read_only(value_.view()).block(0, group * d, keys, d), 0.0f,
                          y.rows_from(tile.first, tile.size()));
    }
  });
  return result;
}

}  // namespace constrictor::model
