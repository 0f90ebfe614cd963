// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/bfloat16.hpp"
#include "core/matrix.hpp"

namespace constrictor::eval {

/// Scores of one window of `length` tokens.
struct WindowScore {
  double nll = 0;  // mean cross-entropy of the quantized model over length - 1 predictions, nats
  double full_nll = 0;  // the same of the full-precision model
  double kl = 0;        // mean over all `length` positions of KL(p_full || p_quant), nats
  Index agree = 0;      // positions where both models find the same token most likely
};

/// The matrix that turns the last hidden states into logits, ready for products of one kind.
class OutputHead {
 public:
  /// weight [vocabulary x width] must outlive this; `products` float32 or bfloat16; `soft_cap` of
  /// the logits (ModelSpec::final_soft_cap), 0: none.
  OutputHead(View<const float> weight, Products products, float soft_cap);

  Index vocabulary() const { return weight_.rows; }
  /// logits <- capped(x W'); x [rows x width], logits [rows x vocabulary].
  void logits(View<const float> x, View<float> logits) const;

 private:
  View<const float> weight_;
  float soft_cap_;
  Matrix<bfloat16> rounded_;  // with bfloat16 products
};

/// Scores one window.
///
///   full   [length x width]   head inputs of the full-precision model; no rows: only `nll` is
///   computed quant  [length x width]   of the quantized model ids    [length]           length >=
///   2
///
/// The logits of at most `rows_of_logits(vocabulary)` tokens exist at a time, of each model.
WindowScore score_window(const OutputHead& head, View<const float> full, View<const float> quant,
                         std::span<const std::int32_t> ids);

/// Scores all windows, each by itself, so that no window's score depends on the others or on who
/// scores it.
///
///   full   [windows * length x width], or no rows
///   quant  [windows * length x width]
///   ids    [windows x length]
std::vector<WindowScore> score_windows(const OutputHead& head, View<const float> full,
                                       View<const float> quant, View<const std::int32_t> ids);

/// Tokens whose logits are formed together: 256, fewer for large vocabularies (64 MiB of logits at
/// most).
Index rows_of_logits(Index vocabulary);

}  // namespace constrictor::eval
