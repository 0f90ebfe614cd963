// SPDX-License-Identifier: Apache-2.0
#pragma once
// linalg/attention_probabilities.hpp on the device, for all sequences of a chunk at once.
#include "core/attention_form.hpp"
#include "core/parallel.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::linalg {

/// Queries of a sequence that are worked on together; keys behind a tile are never looked at.
inline constexpr Index device_attention_tile = 512;

/// One query head and the key head that it reads, windows into the trace: `length` rows a sequence.
template <class E>
struct AttentionHead {
  DeviceView<const E> q;  // [sequences * length x head_dim]  after RoPE, not scaled
  DeviceView<const E> K;  // [sequences * length x head_dim]  after RoPE
  AttentionForm form;
  Index length = 1;
  Index sequences() const { return q.rows / length; }
};

/// Sequences whose scores are formed together: 64 MiB of scores, which stay in the caches of a
/// large device, but at least one sequence. Decided by the length alone.
Index attention_sequences(Index length);

/// Rows [queries.first, queries.last) of the causal attention matrices of all sequences of `head`,
///   A_s = softmax(capped(scale · q_s K_s'))
///   S  [sequences * queries x keys]  float32 scratch, keys >= queries.last; the scores
///   A  [queries x keys]              out, of the first sequence; those of the next one begin
///                                    `rows_apart` rows further. Zero where a query does not look,
///                                    up to A.cols
template <class E>
void attention_rows(const device::Context& gpu, const AttentionHead<E>& head, Piece queries,
                    DeviceView<float> S, DeviceView<E> A, Index rows_apart);

/// The whole matrices: A [sequences * length x length], each lower triangular with zeros above.
template <class E>
void attention_probabilities(const device::Context& gpu, const AttentionHead<E>& head,
                             DeviceView<E> A);

}  // namespace constrictor::linalg
