// SPDX-License-Identifier: Apache-2.0
#include "linalg/attention_probabilities.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/softmax_causal.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::linalg {

void attention_rows(View<const float> q, View<const float> K, Index first_position,
                    const AttentionForm& form, View<float> A) {
  CONSTRICTOR_REQUIRE(q.cols == K.cols && A.rows == q.rows && A.cols == K.rows, q.rows, q.cols,
                      K.rows, K.cols, A.rows, A.cols);
  CONSTRICTOR_REQUIRE(first_position >= 0 && first_position + q.rows <= K.rows, first_position,
                      q.rows, K.rows);
  gemm<float>(Transpose::no, Transpose::yes, form.scale, q, K, 0.0f, A);
  kernels::softmax_causal(A, first_position, form);
}

void attention_probabilities(View<const float> q, View<const float> K, const AttentionForm& form,
                             View<float> A) {
  CONSTRICTOR_REQUIRE(q.rows == K.rows && A.rows == A.cols, q.rows, K.rows, A.rows, A.cols);
  parallel_for(pieces(q.rows, attention_tile), [&](Index i) {
    const Piece tile = piece(q.rows, attention_tile, i);
    const auto rows = A.rows_from(tile.first, tile.size());
    attention_rows(q.rows_from(tile.first, tile.size()), K.rows_from(0, tile.last), tile.first,
                   form, rows.cols_from(0, tile.last));
    for (Index r = 0; r < rows.rows; ++r)
      std::fill(rows.row(r) + tile.last, rows.row(r) + A.cols, 0.0f);
  });
}

}  // namespace constrictor::linalg
