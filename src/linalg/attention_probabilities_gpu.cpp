// SPDX-License-Identifier: Apache-2.0
#include "linalg/attention_probabilities_gpu.hpp"

#include <algorithm>

#include "kernels/softmax_causal.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::linalg {

Index attention_sequences(Index length) {
  constexpr Index most_scores = Index{1} << 24;
  const Index scores = std::min(length, device_attention_tile) * length;
  return std::max<Index>(1, most_scores / std::max<Index>(1, scores));
}

template <class E>
void attention_rows(const device::Context& gpu, const AttentionHead<E>& head, Piece queries,
                    DeviceView<float> S, DeviceView<E> A, Index rows_apart) {
  const Index sequences = head.sequences(), count = queries.size(), keys = S.cols;
  CONSTRICTOR_REQUIRE(head.q.cols == head.K.cols && head.q.rows == head.K.rows, head.q.rows,
                      head.q.cols, head.K.rows, head.K.cols);
  CONSTRICTOR_REQUIRE(queries.first >= 0 && queries.last <= keys && keys <= head.length,
                      queries.first, queries.last, keys, head.length);
  CONSTRICTOR_REQUIRE(S.rows == sequences * count && A.rows == count && A.cols >= keys, S.rows,
                      sequences, count, A.rows, A.cols);
  gemm_batched<E, float>(gpu, Transpose::no, Transpose::yes, head.form.scale,
                         head.q.rows_from(queries.first, count), head.K.rows_from(0, keys), 0.0,
                         S.rows_from(0, count),
                         {.count = sequences,
                          .stride_a = head.length * head.q.stride,
                          .stride_b = head.length * head.K.stride,
                          .stride_c = count * S.stride});
  kernels::softmax_causal<E>(gpu.main(), S, queries.first, {A, rows_apart}, head.form);
}

template <class E>
void attention_probabilities(const device::Context& gpu, const AttentionHead<E>& head,
                             DeviceView<E> A) {
  const Index length = head.length, sequences = head.sequences();
  CONSTRICTOR_REQUIRE(length > 0 && head.q.rows % length == 0, head.q.rows, length);
  CONSTRICTOR_REQUIRE(A.rows == head.q.rows && A.cols == length, A.rows, A.cols, head.q.rows,
                      length);
  const Index together = std::clamp<Index>(sequences, 1, attention_sequences(length));
  const Index tile_rows = std::min(length, device_attention_tile);
  const device::DeviceMatrix<float> scores(gpu, together * tile_rows, length, "attention scores");
  for (Index i = 0; i < pieces(sequences, together); ++i) {
    const Piece some = piece(sequences, together, i);
    const Index first_row = some.first * length, rows = some.size() * length;
    auto part = head;
    part.q = head.q.rows_from(first_row, rows);
    part.K = head.K.rows_from(first_row, rows);
    for (Index t = 0; t < pieces(length, device_attention_tile); ++t) {
      const Piece tile = piece(length, device_attention_tile, t);
      const DeviceView<float> S(scores.data(), some.size() * tile.size(), tile.last, tile.last);
      attention_rows<E>(gpu, part, tile, S, A.rows_from(first_row + tile.first, tile.size()),
                        length);
    }
  }
}

#define CONSTRICTOR_INSTANTIATE(E)                                                       \
  template void attention_rows(const device::Context&, const AttentionHead<E>&, Piece,   \
                               DeviceView<float>, DeviceView<E>, Index);                 \
  template void attention_probabilities(const device::Context&, const AttentionHead<E>&, \
                                        DeviceView<E>);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(bfloat16)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::linalg
