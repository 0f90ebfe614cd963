// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"

namespace constrictor::kernels {

/// Rows of a causal attention matrix, in place: row i is query position p = first_position + i and
/// sees the keys 0 .. p only,
///   S_ij <- exp(S_ij - max) / Σ_{k <= p} exp(S_ik - max)   for j <= p,     S_ij <- 0   for j > p
///
///   S  [queries x keys]   in: scaled scores (anything above the diagonal), out: probabilities
void softmax_causal(View<float> S, Index first_position = 0);

}  // namespace constrictor::kernels
