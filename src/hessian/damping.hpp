// SPDX-License-Identifier: Apache-2.0
#pragma once
// What hessian::factor_input does on the CPU and on a device alike: everything that needs the
// diagonal of a Hessian only.
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "hessian/damped.hpp"

namespace constrictor::hessian {

[[noreturn]] inline void raise_not_finite(const std::string& name, const char* what, Index row,
                                          Index col) {
  throw NumericalError(name + ": " + what + " holds NaN or Inf at [" + std::to_string(row) + ", " +
                       std::to_string(col) + "]; look for it in the model's weights");
}

/// Positions sorted by falling diagonal, equal entries in their old order.
template <class T>
std::vector<std::int32_t> descending(const std::vector<T>& diagonal) {
  std::vector<std::int32_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return diagonal[static_cast<std::size_t>(a)] > diagonal[static_cast<std::size_t>(b)];
  });
  return order;
}

/// back[order[i]] = i; empty stays empty.
inline std::vector<std::int32_t> inverse_order(const std::vector<std::int32_t>& order) {
  std::vector<std::int32_t> back(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
  return back;
}

/// Inputs that are always zero; their diagonal entries become 1 / length.
template <class T>
std::vector<Index> revive_dead(std::vector<T>& diagonal, Index length) {
  std::vector<Index> dead;
  for (std::size_t i = 0; i < diagonal.size(); ++i)
    if (diagonal[i] == T(0)) {
      dead.push_back(static_cast<Index>(i));
      diagonal[i] = T(1) / T(length);
    }
  return dead;
}

/// d + λ mean(d), λ the damping.
template <class T>
std::vector<T> damped(const std::vector<T>& diagonal, double damping) {
  double mean = 0;
  for (const T d : diagonal) mean += static_cast<double>(d);
  mean /= static_cast<double>(std::max<std::size_t>(diagonal.size(), 1));
  std::vector<T> sum = diagonal;
  for (T& d : sum) d += T(damping * mean);
  return sum;
}

enum class Factored { no, yes, in_double };
struct Attempt {
  double damping;
  int retries = 0;
  bool in_double = false;
};

/// Calls try_factor(damped diagonal) until that succeeds, each time with ten times the damping;
/// FactorizationError after five times in vain.
template <class T, class TryFactor>
Attempt damp_until_factored(const std::vector<T>& diagonal, double damping, const std::string& name,
                            TryFactor&& try_factor) {
  constexpr int most_retries = 5;
  Attempt attempt{damping};
  for (;; attempt.damping *= 10, ++attempt.retries) {
    const Factored result = try_factor(damped(diagonal, attempt.damping));
    attempt.in_double = result == Factored::in_double;
    if (result != Factored::no) return attempt;
    if (attempt.retries == most_retries) break;
  }
  const auto [low, high] = std::minmax_element(diagonal.begin(), diagonal.end());
  char numbers[160];
  std::snprintf(numbers, sizeof numbers, "diagonal from %.3g to %.3g, damping up to %.3g tried",
                static_cast<double>(*low), static_cast<double>(*high), attempt.damping);
  throw FactorizationError(
      name + ": the Hessian could not be factored (" + numbers +
      "); use more calibration tokens, a higher quant.damping, or allow quant.fallback: rtn");
}

}  // namespace constrictor::hessian
