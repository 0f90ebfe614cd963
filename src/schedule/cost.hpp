// SPDX-License-Identifier: Apache-2.0
#pragma once
// Cost of the phases of one layer in multiply-adds. Only ratios matter: they decide who does what.

#include "data/specs.hpp"

namespace constrictor::schedule {

/// Damping, factor and inverse factor of H [n x n]: U with H⁻¹ = Uᵀ U; a pivoted order is one
/// factor more.
double factor_cost(Index inputs, Order order);

/// Quantizing `rows` rows of `inputs` columns: grid search, column sweeps with their trailing
/// products (once more with drift, once for each prefix of a beam), scale refinement, and a product
/// with H for each round of polish.
double rows_cost(const QuantSpec& spec, Index rows, Index inputs);

}  // namespace constrictor::schedule
