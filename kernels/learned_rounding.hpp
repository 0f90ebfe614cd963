// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/matrix.hpp"
#include "device/stream.hpp"

namespace constrictor::kernels {

/// Rounding as a smooth variable (AdaRound, ICML 2020, eq. 23): h(v) = clamp(1.2 sigmoid(v) - 0.1,
/// 0, 1) says how far a weight is rounded up.
inline constexpr float sigmoid_stretch = 1.2f, sigmoid_shift = -0.1f;
/// h within this of 0 or 1 is decided.
inline constexpr float undecided_margin = 1e-3f;

/// One step of Adam (Kingma and Ba, ICLR 2015; decay 0.9 and 0.999, epsilon 1e-8).
template <class T>
struct RoundingStep {
  T rate;           // learning rate
  T first, second;  // 1 - 0.9^t, 1 - 0.999^t: the corrections of the moments in step t = 1, 2, ...
  T lambda;         // weight of the second term; 0 = without
  T beta;           // its exponent
};

/// What a step changes; all [rows x in].
template <class T>
struct RoundingState {
  View<T> v;             // the variable
  View<T> sigmoid;       // of v
  View<T> mean, square;  // Adam's moments
  View<T> error;         // dW = low + s h(v) - W
};

/// What stays as it is.
template <class T>
struct RoundingTerms {
  View<const T> scale;  // s [rows x groups]
  Index group_size;
  View<const T> offset;  // low - W [rows x in], low = the weight rounded down
  View<const T> share;   // [rows x 1] 2 / unit: L is counted in units
};

/// v <- Adam step on  L / unit + lambda sum(1 - |2 h(v) - 1|^beta),  with G [rows x in] = half the
/// gradient of L by Q; sigmoid and error follow v. Returns how many h are undecided.
template <class T>
Index rounding_step(const RoundingStep<T>& step, const RoundingTerms<T>& terms, View<const T> G,
                    const RoundingState<T>& state);

/// sigmoid and error of v.
template <class T>
void set_rounding(const RoundingTerms<T>& terms, const RoundingState<T>& state);

}  // namespace constrictor::kernels
