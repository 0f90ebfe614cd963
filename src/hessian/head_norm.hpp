// SPDX-License-Identifier: Apache-2.0
#pragma once
// H_out of queries and keys behind which an RMS norm stands inside the head (Qwen3, Gemma-3).
//
// At position l a head computes u = W x, n = g ⊙ u / r with r² = mean(u²) + eps, q = R_l n and the
// scores k_m' q. An error dW changes u by du = dW x, and to first order
//   dq = R_l J_l du,   J_l = (1/r) D (I - v v'),   v = u / (sqrt(d) r),   D = diag(g):
// the part of du along u is lost but for eps, and the rest is scaled by 1/r. The sum of squared
// score errors over the keys of the same sequence, M = (2/L) Σ_m k_m k_m', is du' J_l' R_l' M R_l
// J_l du, so that
//   H_out = mean over positions of J_l' R_l' M R_l J_l,
// which is R_l' M R_l of the plain head for J_l = 1. J depends on the position and on the query
// head, so that M must be known before the sum: it is that of the sequence (which is also what a
// position sees), and the mean runs over all positions of all sequences. The window and the
// derivative of a soft cap (at most 1) are left out, as the softmax is: an upper bound.
//
// With P_l = D R_l' M R_l D and w = P_l v: J' R' M R J = (1/r²) (P_l - v w' - w v' + (v'w) v v').
// The last three are products of [L x d] matrices, V'Z + Z'V with rows z = (1/r²) ((v'w) v / 2 -
// w). The sum of P_l / r² is elementwise in M and in G = T' diag(1/r²) T, T = [cos | sin] [L x d].
// So a head costs five products of 2 L d² operations a sequence.

#include "data/block_sums.hpp"
#include "data/block_trace.hpp"

namespace constrictor::hessian {

/// Adds one chunk of whole sequences of `length` tokens, with M without its factor 2, to
///   key_gram[h]    of every query head h (they use the keys of their group)
///   query_gram[k]  of every key head k; M sums up the queries of all its heads
/// so that 2/tokens of a sum is H_out (that of a key divided by the size of its group). Float32;
/// positions of a sequence by matrix products, sequences in order.
void add_head_norm_metrics(const SumShape& shape, const BlockTrace& quant, Index length,
                           BlockSums& sums);

}  // namespace constrictor::hessian
