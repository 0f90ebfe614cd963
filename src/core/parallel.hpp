// SPDX-License-Identifier: Apache-2.0
#pragma once
// OpenMP inside a rank. The rule that keeps results independent of the number of threads: work is
// cut into pieces whose size never depends on the thread count, and each piece is done by one
// thread.

#include <omp.h>

#include <exception>
#include <span>

#include "core/matrix.hpp"

namespace constrictor {

/// fn(i) for i in [0, count), in any order, each i on one thread. The first exception is rethrown.
/// Inside another parallel_for it is a plain loop.
template <class Function>
void parallel_for(Index count, Function&& fn) {
  if (omp_in_parallel()) {
    for (Index i = 0; i < count; ++i) fn(i);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (Index i = 0; i < count; ++i) {
    try {
      fn(i);
    } catch (...) {
#pragma omp critical(constrictor_parallel_for)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// The piece [first, last) number `i` of [0, size) cut every `width`.
struct Piece {
  Index first;
  Index last;
  Index size() const { return last - first; }
};
inline Index pieces(Index size, Index width) { return (size + width - 1) / width; }
inline Piece piece(Index size, Index width, Index i) {
  const Index first = i * width;
  return {first, first + width < size ? first + width : size};
}
/// The values that a piece names.
template <class T>
std::span<T> part_of(std::span<T> values, const Piece& p) {
  return values.subspan(static_cast<std::size_t>(p.first), static_cast<std::size_t>(p.size()));
}

}  // namespace constrictor
