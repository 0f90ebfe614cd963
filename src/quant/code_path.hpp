// SPDX-License-Identifier: Apache-2.0
#pragma once
// The way of one row's codes through all shrinks of the grid search, for one zero point.

#include <array>
#include <cstdint>
#include <vector>

#include "quant/grid.hpp"

namespace constrictor::quant {

/// Columns of the root of H that are worked on together: four vector registers.
template <class T>
struct Slice {
  typedef T Vector __attribute__((vector_size(64), may_alias));
  static constexpr Index lanes = 64 / static_cast<Index>(sizeof(T));
  static constexpr Index vectors = 4;
  static constexpr Index width = lanes * vectors;
  static Index count(Index n) { return (n + width - 1) / width; }
};

/// One change of one code.
template <class T>
struct CodeEvent {
  std::int32_t input;
  T step;  // by how much the code changes
};

template <class T>
struct CodePath {
  std::vector<CodeEvent<T>> events;      // by shrink, then input
  std::array<Index, shrinks + 1> first;  // events of shrink i: [first[i], first[i + 1])

  /// Follows the codes of w [n] from p = 1 to the last shrink; Z0 [n] gets the shifted codes of p
  /// = 1.
  void trace(const T* w, Index n, const Range<T>& range, T zero, T top, T* Z0);
};

}  // namespace constrictor::quant
