// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cmath>
#include <cstdint>
#include <span>

#include "core/matrix.hpp"
#include "device/stream.hpp"

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

// On a device the logits of a row come piece by piece of the vocabulary, from the first to the
// last, and these are carried along. Exponentials are float32, sums float64.

/// One row of logits so far.
struct SoftmaxSums {
  double sum;  // Σ_v e^{y_v - largest}
  Index top;   // the first place of the largest logit
  float largest;
  float target;  // y of the row's target once its piece has come
};
/// A row of P compared with a row of Q so far.
struct DivergenceSums {
  SoftmaxSums p, q;
  double weighted;  // Σ_v e^{P_v - largest P} (P_v - Q_v)
};

/// Adds the columns [first, first + Y.cols) of the vocabulary; first = 0 starts anew.
///   Y        [rows x columns of this piece]
///   targets  [1 x rows]   -1: none
///   rows     [1 x rows]
void add_cross_entropy(const device::Stream& stream, DeviceView<const float> Y, Index first,
                       DeviceView<const std::int32_t> targets, DeviceView<SoftmaxSums> rows);
void add_divergence(const device::Stream& stream, DeviceView<const float> P,
                    DeviceView<const float> Q, Index first, DeviceView<const std::int32_t> targets,
                    DeviceView<DivergenceSums> rows);

/// log Σ_v e^{y_v} of a row after its last piece.
inline double log_sum(const SoftmaxSums& row) {
  return std::log(row.sum) + static_cast<double>(row.largest);
}
/// KL(p || q), nats.
inline double kl(const DivergenceSums& row) {
  return row.weighted / row.p.sum - log_sum(row.p) + log_sum(row.q);
}

}  // namespace constrictor::kernels
