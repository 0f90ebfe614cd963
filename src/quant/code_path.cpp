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
  sort_by_slice(n);
}

template <class T>
void CodePath<T>::sort_by_slice(
    Index n) {  // counting sort, stable: each slice's events stay in the order of shrinks
  constexpr Index width = Slice<T>::width;
  own_first.assign(static_cast<std::size_t>(Slice<T>::count(n)) + 2, 0);
  for (const auto& event : events) ++own_first[static_cast<std::size_t>(event.input / width) + 2];
  for (std::size_t s = 2; s < own_first.size(); ++s) own_first[s] += own_first[s - 1];
  own.resize(events.size());
  own_shrink.resize(events.size());
  for (Index i = 1; i < shrinks; ++i)
    for (Index e = first[static_cast<std::size_t>(i)]; e < first[static_cast<std::size_t>(i) + 1];
         ++e) {
      const auto event = events[static_cast<std::size_t>(e)];
      const auto place =
          static_cast<std::size_t>(own_first[static_cast<std::size_t>(event.input / width) + 1]++);
      own[place] = {static_cast<std::int32_t>(event.input % width), event.step};
      own_shrink[place] = static_cast<std::int32_t>(i);
    }
}

template struct CodePath<float>;
template struct CodePath<double>;

}  // namespace constrictor::quant
