// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "core/bfloat16.hpp"
#include "data/block_sums.hpp"
#include "data/block_trace.hpp"

namespace constrictor::hessian {

/// Attention-weighted input sums of the value layer, per key-value head (README "Notation"; BoA).
/// With A_h the probabilities of query head h on one sequence and X~ [L x in] its inputs:
///
///   gram <- beta gram + X~' (Σ_h A_h' A_h) X~     cross <- beta cross + X' (Σ_h A_full,h' A_h) X~
///
/// With bfloat16 products every factor (A, their sums, the products with X~) is rounded to
/// bfloat16, as X is, and added up in float32. The sums over the query heads of a group come first
/// (L x L), so that there is one product with X~ per key-value head instead of one per query head.
void add_value_sums(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full, Index length,
                    Products products, float beta, std::vector<InputSums>& sums);

}  // namespace constrictor::hessian
