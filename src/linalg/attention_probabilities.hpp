// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/attention_form.hpp"
#include "core/matrix.hpp"

namespace constrictor::linalg {

/// Rows [first_position, first_position + queries) of the causal attention matrix of one head.
///   A = softmax(capped(scale · q K')), query i sees keys up to first_position + i only, as many as
///   `form` lets it
///
///   q  [queries x head_dim]   after RoPE, not scaled
///   K  [keys x head_dim]      after RoPE; keys >= first_position + queries
///   A  [queries x keys]       out; zero where a query does not look
void attention_rows(View<const float> q, View<const float> K, Index first_position,
                    const AttentionForm& form, View<float> A);

/// The whole matrix of one sequence and head: A [L x L], lower triangular with zeros above.
///   q, K  [L x head_dim]
/// About half the products of a full q K', in float32.
void attention_probabilities(View<const float> q, View<const float> K, const AttentionForm& form,
                             View<float> A);

/// Queries that `attention_probabilities` and the model's attention take at a time.
inline constexpr Index attention_tile = 128;

}  // namespace constrictor::linalg
