// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>

#include "core/matrix.hpp"

namespace constrictor::kernels {

/// nll_i = log Σ_v e^{y_iv} - y_{i, target_i}, nats; exponentials in float32, sums in float64.
///
///   Y        [rows x vocabulary]   logits
///   targets  [rows]                in 0 .. vocabulary - 1
///   nll      [rows]                out
void cross_entropy(View<const float> Y, std::span<const std::int32_t> targets,
                   std::span<double> nll);

/// What `divergence` finds in each row.
struct Divergence {
  std::span<double> kl;  // [rows] KL(p_i || q_i) = Σ_v p_iv (log p_iv - log q_iv), nats
  std::span<std::uint8_t>
      agree;  // [rows] 1 when both rows are largest at the same place (the first of equals), else 0
  std::span<double>
      p_log_sum;  // [rows] log Σ_v e^{P_iv}; less P_{i, target} it is the cross-entropy
  std::span<double> q_log_sum;  // [rows] log Σ_v e^{Q_iv}
};

/// Compares the softmax p of the rows of P with the softmax q of the rows of Q.
///
///   P, Q  [rows x vocabulary]   logits of the reference and of the model compared to it
void divergence(View<const float> P, View<const float> Q, const Divergence& found);

}  // namespace constrictor::kernels
