// SPDX-License-Identifier: Apache-2.0
#include "quant/candidates.hpp"

#include <algorithm>
#include <limits>

#include "kernels/column_sweep.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

/// e of one candidate.
template <class T>
void candidate_error(const T* w, Index n, T scale, T zero, T top, T* e) {
  for (Index k = 0; k < n; ++k)
    e[k] = scale * (kernels::code_of<T>(w[k], scale, zero, top) - zero) - w[k];
}

}  // namespace

template <class T>
std::vector<T> exact_scores(View<const T> W, View<const T> H, const std::vector<Range<T>>& ranges,
                            T top, const std::vector<Candidate>& candidates) {
  const Index n = W.cols, count = static_cast<Index>(candidates.size());
  std::vector<T> scores(candidates.size());
  constexpr Index batch = 128;
  Matrix<T> E = Matrix<T>::uninitialized(std::min(batch, count), n), EH = E;
  for (Index first = 0; first < count; first += batch) {
    const Index rows = std::min(batch, count - first);
    for (Index r = 0; r < rows; ++r) {
      const Candidate& c = candidates[static_cast<std::size_t>(first + r)];
      const auto& range = ranges[static_cast<std::size_t>(c.row)];
      candidate_error(W.row(c.row), n, range.scale(c.shrink, top), range.zeros[c.zero], top,
                      E.row(r));
    }
    const auto used = EH.view().rows_from(0, rows);
    linalg::gemm<T>(linalg::Transpose::no, linalg::Transpose::no, T(1), E.view().rows_from(0, rows),
                    H, T(0), used);
    for (Index r = 0; r < rows; ++r) {
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (Index k = 0; k < n; ++k) sum += E(r, k) * EH(r, k);
      scores[static_cast<std::size_t>(first + r)] = sum;
    }
  }
  return scores;
}

template <class T>
std::vector<Range<T>> ranges_of(View<const T> W, const GridSettings& settings) {
  std::vector<Range<T>> ranges;
  for (Index r = 0; r < W.rows; ++r) ranges.push_back(range_of(W.row(r), W.cols, settings));
  return ranges;
}

template <class T>
void choose(const std::vector<Candidate>& candidates, const std::vector<T>& scores,
            const std::vector<Range<T>>& ranges, T top, T* scale, T* zero, Index stride) {
  std::vector<T> best(ranges.size(), std::numeric_limits<T>::infinity());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    const auto row = static_cast<std::size_t>(c.row);
    if (!(scores[i] < best[row])) continue;
    best[row] = scores[i];
    scale[c.row * stride] = ranges[row].scale(c.shrink, top);
    zero[c.row * stride] = ranges[row].zeros[c.zero];
  }
}

template <class T>
void search_hessian_full(View<const T> W, View<const T> H, const GridSettings& settings, T* scale,
                         T* zero, Index stride) {
  const T top = T((1 << settings.bits) - 1);
  const auto ranges = ranges_of(W, settings);
  std::vector<Candidate> all;
  for (Index r = 0; r < W.rows; ++r)
    for (Index i = 0; i < shrinks; ++i)
      for (int z = 0; z < ranges[static_cast<std::size_t>(r)].n_zeros; ++z)
        all.push_back({r, i, z});
  choose(all, exact_scores<T>(W, H, ranges, top, all), ranges, top, scale, zero, stride);
}

#define CONSTRICTOR_INSTANTIATE(T)                                                                 \
  template std::vector<Range<T>> ranges_of(View<const T>, const GridSettings&);                    \
  template std::vector<T> exact_scores(View<const T>, View<const T>, const std::vector<Range<T>>&, \
                                       T, const std::vector<Candidate>&);                          \
  template void choose(const std::vector<Candidate>&, const std::vector<T>&,                       \
                       const std::vector<Range<T>>&, T, T*, T*, Index);                            \
  template void search_hessian_full(View<const T>, View<const T>, const GridSettings&, T*, T*,     \
                                    Index);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
