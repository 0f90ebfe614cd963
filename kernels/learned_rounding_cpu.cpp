// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/exp.hpp"
#include "kernels/learned_rounding.hpp"

namespace constrictor::kernels {
namespace {

inline float exp_of(float x) { return fast_exp(x); }
inline double exp_of(double x) { return std::exp(x); }
inline float root_of(float x) { return __builtin_sqrtf(x); }
inline double root_of(double x) { return __builtin_sqrt(x); }

/// x^p of 0 <= x <= 1, p >= 1. Without calls, so that the loop vectorises:
///   x = 2^n m, m in [0.7, 1.41);  ln m = 2 artanh(u), u = (m - 1) / (m + 1), |u| < 0.18
inline float power(float x, float p) {
  x = x < 1e-30f ? 1e-30f : x;
  const auto bits = std::bit_cast<std::int32_t>(x);
  const std::int32_t n = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3: the square root of 1/2
  const float m =
      std::bit_cast<float>(bits - static_cast<std::int32_t>(static_cast<std::uint32_t>(n) << 23));
  const float u = (m - 1.0f) / (m + 1.0f), u2 = u * u;
  const float log_m = 2.0f * u * (1.0f + u2 * (1.0f / 3 + u2 * (0.2f + u2 * (1.0f / 7))));
  return fast_exp(p * (static_cast<float>(n) * 0.693147181f + log_m));
}
inline double power(double x, double p) { return std::pow(x, p); }

template <class T>
inline T sigmoid_of(T v) {
  return T(1) / (T(1) + exp_of(-v));
}
template <class T>
inline T raw_of(T sigmoid) {
  return T(sigmoid_stretch) * sigmoid + T(sigmoid_shift);
}
template <class T>
inline T clamped(T h) {
  return h < T(0) ? T(0) : h > T(1) ? T(1) : h;
}

/// One row of one group: plain pointers, so that the loop vectorises.
template <bool regularized, class T>
Index step_group(const RoundingStep<T>& step, T scale, T share, Index count, const T* G,
                 const T* offset, T* v, T* sigmoid, T* mean, T* square, T* error) {
  Index undecided = 0;
  const T by_first = step.rate / step.first, by_second = T(1) / step.second;
#pragma omp simd reduction(+ : undecided)
  for (Index c = 0; c < count; ++c) {
    const T sig = sigmoid[c], raw = raw_of(sig);
    T slope = share * scale * G[c];
    if constexpr (regularized) {
      const T x = T(2) * clamped(raw) - T(1), size = x < T(0) ? -x : x;
      const T pull = T(2) * step.lambda * step.beta * power(size, step.beta - T(1));
      slope -= x < T(0) ? -pull : pull;
    }
    slope *= raw > T(0) && raw < T(1) ? T(sigmoid_stretch) * sig * (T(1) - sig) : T(0);
    const T m = T(0.9) * mean[c] + T(0.1) * slope,
            s = T(0.999) * square[c] + T(0.001) * slope * slope;
    mean[c] = m;
    square[c] = s;
    v[c] -= by_first * m / (root_of(s * by_second) + T(1e-8));
    sigmoid[c] = sigmoid_of(v[c]);
    const T h = clamped(raw_of(sigmoid[c]));
    error[c] = offset[c] + scale * h;
    undecided += h > T(undecided_margin) && h < T(1) - T(undecided_margin) ? 1 : 0;
  }
  return undecided;
}

}  // namespace

template <class T>
Index rounding_step(const RoundingStep<T>& step, const RoundingTerms<T>& terms, View<const T> G,
                    const RoundingState<T>& state) {
  const Index size = terms.group_size;
  Index undecided = 0;
  for (Index r = 0; r < G.rows; ++r)
    for (Index first = 0; first < G.cols; first += size) {
      const auto take = [&](auto run) {
        return run(step, terms.scale(r, first / size), terms.share(r, 0), size, G.row(r) + first,
                   terms.offset.row(r) + first, state.v.row(r) + first,
                   state.sigmoid.row(r) + first, state.mean.row(r) + first,
                   state.square.row(r) + first, state.error.row(r) + first);
      };
      undecided += step.lambda > T(0) ? take(step_group<true, T>) : take(step_group<false, T>);
    }
  return undecided;
}

template <class T>
void set_rounding(const RoundingTerms<T>& terms, const RoundingState<T>& state) {
  for (Index r = 0; r < state.v.rows; ++r)
    for (Index c = 0; c < state.v.cols; ++c) {
      state.sigmoid(r, c) = sigmoid_of(state.v(r, c));
      state.error(r, c) = terms.offset(r, c) + terms.scale(r, c / terms.group_size) *
                                                   clamped(raw_of(state.sigmoid(r, c)));
    }
}

#define CONSTRICTOR_INSTANTIATE(T)                                                             \
  template Index rounding_step(const RoundingStep<T>&, const RoundingTerms<T>&, View<const T>, \
                               const RoundingState<T>&);                                       \
  template void set_rounding(const RoundingTerms<T>&, const RoundingState<T>&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::kernels
