// SPDX-License-Identifier: Apache-2.0
#include "quant/code_path.hpp"

#include <bit>
#include <cstring>

#include "kernels/column_sweep.hpp"

namespace constrictor::quant {
namespace {

template <class T>
void codes_at(const T* w, Index n, T scale, T zero, T top, std::uint8_t* out) {
#pragma omp simd
  for (Index k = 0; k < n; ++k)
    out[k] =
        static_cast<std::uint8_t>(static_cast<int>(kernels::code_of<T>(w[k], scale, zero, top)));
}

/// Calls fn(k) where a[k] != b[k]; few do, so eight are compared at a time.
template <class Function>
void for_changes(const std::uint8_t* a, const std::uint8_t* b, Index n, Function&& fn) {
  Index k = 0;
  for (; k + 8 <= n; k += 8) {
    std::uint64_t x, y;
    std::memcpy(&x, a + k, 8);
    std::memcpy(&y, b + k, 8);
    for (std::uint64_t changed = x ^ y; changed != 0;) {
      const int at = std::countr_zero(changed) / 8;
      fn(k + at);
      changed &= ~(std::uint64_t{0xff} << (8 * at));
    }
  }
  for (; k < n; ++k)
    if (a[k] != b[k]) fn(k);
}

}  // namespace

template <class T>
void CodePath<T>::trace(const T* w, Index n, const Range<T>& range, T zero, T top, T* Z0) {
  std::vector<std::uint8_t> now(static_cast<std::size_t>(n)), next(static_cast<std::size_t>(n));
  codes_at(w, n, range.scale(0, top), zero, top, now.data());
  for (Index k = 0; k < n; ++k) Z0[k] = T(now[static_cast<std::size_t>(k)]) - zero;
  events.clear();
  first[0] = 0;
  for (Index i = 1; i < shrinks; ++i) {
    first[static_cast<std::size_t>(i)] = static_cast<Index>(events.size());
    codes_at(w, n, range.scale(i, top), zero, top, next.data());
    for_changes(now.data(), next.data(), n, [&](Index k) {
      const int step = next[static_cast<std::size_t>(k)] - now[static_cast<std::size_t>(k)];
      events.push_back({static_cast<std::int32_t>(k), T(step)});
    });
    now.swap(next);
  }
  first[shrinks] = static_cast<Index>(events.size());
}

template struct CodePath<float>;
template struct CodePath<double>;

}  // namespace constrictor::quant
