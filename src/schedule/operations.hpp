// SPDX-License-Identifier: Apache-2.0
#pragma once
// Floating-point operations that the method asks for, counted from shapes; a multiply-add counts
// two. Symmetric sums count one triangle, causal attention what lies on and below the diagonal:
// work that a program adds by multiplying zeros is not counted, so that no rate is flattered.

#include "data/block_sums.hpp"
#include "data/model_spec.hpp"
#include "data/specs.hpp"

namespace constrictor::schedule {

/// Numbers in the linear layers of one block.
double linear_weights(const ModelSpec& model);

/// One forward pass of `sequences` sequences through one block:
///   2 weights a token, and 2 heads d L (L + 1) for Q K' and A V of a sequence of L tokens.
double forward_operations(const ModelSpec& model, Index sequences, Index length);

/// What a forward pass adds to the sums of one block (data/block_sums.hpp), per token:
///   n (n + 1) for Σ x~ x~' [n x n], 2 n² for Σ x x~';
///   value layers with attention, per sequence: A again, d L (L + 1) a head and path;
///     Σ_h A_h' A_h, L (L + 1) (L + 2) / 3 a head, Σ_h A_full,h' A_h, L (L + 1) (2 L + 1) / 3;
///     these times X~, 2 L² n a key-value head and path, and the sums over tokens as above;
///   d (d + 1) a head for Σ q q' and Σ k k'.
double sum_operations(const SumShape& shape, Index sequences, Index length);

/// One input side H [n x n].
struct SideWork {
  Index inputs = 0;
  bool factor = true;    // H = R R' and U = R^-1: n³/3 each
  bool panel = false;    // P = triu(D U', 1) U: n³ and n³/3
  bool shift = false;    // alpha D H^-1 = (D U') U: n³ more (2 n³ without a panel)
  bool pivoted = false;  // the order is that of one more factorization: n³/3
};
double factor_operations(const SideWork& side);

/// Quantizing `rows` rows of n inputs, per row:
///   n² for the sweep with its trailing products and each prefix of a beam, n² more with drift (the
///     panel of P);
///   3 n² for a grid search by H: W R and Z R for two zero points; what pruning leaves to be
///     scored depends on the data and is not counted;
///   2 n² each for W H, Z H and the plain rounding's Q H, and for W D with drift;
///   `head_rows` > 0, rows of a head with an output side of d rows: d n for the update of later
///     rows, 2 d n for each of four products with H_out and for each pass of refinement, 2 n² for
///     the shift with drift;
///   learned rounding: 2 n² and, with an output side, 2 d n a step; 4 n² for two more losses;
///   2 n² (and 4 d n) for each round of polish: the codes it changes are few. What trying zero
///   points takes hangs on the groups and is not counted.
struct RowWork {
  Index rows = 0;
  Index inputs = 0;
  Index head_rows = 0;
  bool drift = false;  // inputs have drifted and the options correct it
};
double solve_operations(const QuantSpec& spec, const RowWork& work);

}  // namespace constrictor::schedule
