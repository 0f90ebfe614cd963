// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "quant/grid.hpp"

namespace constrictor::quant {

/// One grid that the search considers for one row.
struct Candidate {
  Index row, shrink;
  int zero;  // number among the row's zero points
};

template <class T>
std::vector<Range<T>> ranges_of(View<const T> W, const GridSettings& settings);

/// e H e', e = q(w) - w, of every candidate; one product for 128 of them.
template <class T>
std::vector<T> exact_scores(View<const T> W, View<const T> H, const std::vector<Range<T>>& ranges,
                            T top, const std::vector<Candidate>& candidates);

/// Scale and zero of each row's first candidate with the smallest score; `stride` from row to row.
template <class T>
void choose(const std::vector<Candidate>& candidates, const std::vector<T>& scores,
            const std::vector<Range<T>>& ranges, T top, T* scale, T* zero, Index stride);

}  // namespace constrictor::quant
