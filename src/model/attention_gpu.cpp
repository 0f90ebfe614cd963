// SPDX-License-Identifier: Apache-2.0
#include "model/attention_gpu.hpp"

#include <algorithm>

#include "linalg/attention_probabilities_gpu.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::model {
namespace {

using linalg::AttentionHead;
using linalg::Transpose;

/// Memory that all heads share.
template <class E>
struct Scratch {
  Scratch(const device::Context& gpu, Index rows, Index keys)
      : scores(gpu, rows, keys, "attention scores"),
        probabilities(gpu, rows, keys, "attention probabilities") {}
  device::DeviceMatrix<float> scores;
  device::DeviceMatrix<E> probabilities;
};

/// y = A V of one query head, tile by tile: keys behind a tile cost nothing.
template <class E>
void one_head(const device::Context& gpu, const AttentionHead<E>& head, DeviceView<const E> V,
              Scratch<E>& scratch, DeviceView<E> y) {
  const Index sequences = head.sequences();
  for (Index i = 0; i < pieces(head.length, linalg::device_attention_tile); ++i) {
    const Piece tile = piece(head.length, linalg::device_attention_tile, i);
    const Index rows = tile.size(), keys = tile.last;
    const DeviceView<float> S(scratch.scores.data(), sequences * rows, keys, keys);
    const DeviceView<E> A(scratch.probabilities.data(), rows, keys, keys);
    linalg::attention_rows<E>(gpu, head, tile, S, A, rows);
    linalg::gemm_batched<E, E>(gpu, Transpose::no, Transpose::no, 1.0, read_only(A),
                               V.rows_from(0, keys), 0.0, y.rows_from(tile.first, rows),
                               {.count = sequences,
                                .stride_a = rows * keys,
                                .stride_b = head.length * V.stride,
                                .stride_c = head.length * y.stride});
  }
}

}  // namespace

template <class E>
device::DeviceMatrix<E> attention(const device::Context& gpu, const ModelSpec& spec,
                                  const AttentionForm& form, Index length,
                                  DeviceView<const E> query, DeviceView<const E> key,
                                  DeviceView<const E> value) {
  const Index d = spec.head_dim, heads = spec.heads, sequences = query.rows / length;
  CONSTRICTOR_REQUIRE(spec.kv_heads > 0 && heads % spec.kv_heads == 0, heads, spec.kv_heads);
  CONSTRICTOR_REQUIRE(
      query.cols == heads * d && key.cols == spec.kv_heads * d && value.cols == key.cols,
      query.cols, key.cols, value.cols, heads, d);
  const Index together = std::clamp<Index>(sequences, 1, linalg::attention_sequences(length));
  device::DeviceMatrix<E> result(gpu, query.rows, query.cols, "the attention output");
  Scratch<E> scratch(gpu, together * std::min(length, linalg::device_attention_tile), length);
  for (Index i = 0; i < pieces(sequences, together); ++i) {
    const Piece some = piece(sequences, together, i);
    const Index first = some.first * length, rows = some.size() * length;
    for (Index h = 0; h < heads; ++h) {
      const Index kv_column = h / (heads / spec.kv_heads) * d;
      const AttentionHead<E> head{.q = query.block(first, h * d, rows, d),
                                  .K = key.block(first, kv_column, rows, d),
                                  .form = form,
                                  .length = length};
      one_head<E>(gpu, head, value.block(first, kv_column, rows, d), scratch,
                  result.view().block(first, h * d, rows, d));
    }
  }
  return result;
}

template device::DeviceMatrix<float> attention(const device::Context&, const ModelSpec&,
                                               const AttentionForm&, Index, DeviceView<const float>,
                                               DeviceView<const float>, DeviceView<const float>);
template device::DeviceMatrix<bfloat16> attention(const device::Context&, const ModelSpec&,
                                                  const AttentionForm&, Index,
                                                  DeviceView<const bfloat16>,
                                                  DeviceView<const bfloat16>,
                                                  DeviceView<const bfloat16>);

}  // namespace constrictor::model
