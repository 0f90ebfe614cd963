// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/attention_form.hpp"
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// Rows of a causal attention matrix, in place: row i is query position p = first_position + i and
/// sees the keys f = form.first_key(p) .. p only,
///   S_ij <- exp(S_ij - max) / Σ_{f <= k <= p} exp(S_ik - max)   for f <= j <= p,   else S_ij <- 0,
/// scores capped before where `form` has a soft cap; its scale has been applied.
///
///   S  [queries x keys]   in: scaled scores (anything that is not seen), out: probabilities
void softmax_causal(View<float> S, Index first_position = 0, const AttentionForm& form = {});

/// The same rows of several sequences.
template <class E>
struct SequenceRows {
  DeviceView<E> first;  // [queries x keys] of the first sequence
  Index rows_apart;     // rows from there to the first of the next sequence
};

/// On a device, of many sequences at once, rounded to E = float or bfloat16.
///   S  [sequences * queries x keys]   scaled scores
///   A  [queries x keys or more]       out for each sequence: probabilities, zeros around them
template <class E>
void softmax_causal(const device::Stream& stream, DeviceView<const float> S, Index first_position,
                    SequenceRows<E> A, const AttentionForm& form = {});

}  // namespace constrictor::kernels
