// SPDX-License-Identifier: Apache-2.0
// Grid search by e H e'. With Z = C - z (integers), e = s Z - w and y = Z H, h = w H:
//
//   score = e . (s y - h)
//
// z does not depend on the shrink p, so from one p to the next Z changes only where a code changes:
// each weight passes at most 2^bits - 1 codes on its way out. Such a change (an "event") adds one
// row of H to y. The columns of H are taken in slices that fit registers and cache: y of a slice
// stays in registers while all events of a row run over it, and the score is a sum over slices.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/column_sweep.hpp"
#include "linalg/gemm.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {
namespace {

using kernels::code_of;

template <class T>
struct Slice {
  typedef T Vector __attribute__((vector_size(64), may_alias));
  static constexpr Index lanes = 64 / static_cast<Index>(sizeof(T));
  static constexpr Index vectors = 4;
  static constexpr Index width = lanes * vectors;
};

/// One change of one code: input, and by how much.
struct Event {
  std::int32_t input;
  std::int32_t step;
};

/// The way of one row's codes through all shrinks, for one zero point.
template <class T>
struct CodePath {
  std::vector<Event> events;  // by shrink, then input
  Index first[shrinks + 1];   // events of shrink i: [first[i], first[i + 1])
  std::vector<Event>
      by_slice;  // the same events by slice of their input; `input` = offset in the slice
  std::vector<std::int32_t> shrink_of;  // shrink of each entry of by_slice
  std::vector<Index> slice_first;       // [slices + 1] into by_slice
};

/// Codes of a row at one shrink.
template <class T>
void codes_at(const T* w, Index n, T scale, T zero, T top, std::uint8_t* out) {
#pragma omp simd
  for (Index k = 0; k < n; ++k)
    out[k] = static_cast<std::uint8_t>(static_cast<int>(code_of<T>(w[k], scale, zero, top)));
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

template <class T>
void trace_codes(const T* w, Index n, const Range<T>& range, T zero, T top, T* Z0,
                 CodePath<T>& path) {
  static thread_local std::vector<std::uint8_t> now, next;
  now.resize(static_cast<std::size_t>(n));
  next.resize(static_cast<std::size_t>(n));
  codes_at(w, n, range.scale(0, top), zero, top, now.data());
  for (Index k = 0; k < n; ++k) Z0[k] = T(now[static_cast<std::size_t>(k)]) - zero;
  path.events.clear();
  path.first[0] = 0;
  const Index slices = (n + Slice<T>::width - 1) / Slice<T>::width;
  path.slice_first.assign(static_cast<std::size_t>(slices) + 2, 0);
  for (Index i = 1; i < shrinks; ++i) {
    path.first[i] = static_cast<Index>(path.events.size());
    codes_at(w, n, range.scale(i, top), zero, top, next.data());
    for_changes(now.data(), next.data(), n, [&](Index k) {
      const int step = next[static_cast<std::size_t>(k)] - now[static_cast<std::size_t>(k)];
      path.events.push_back({static_cast<std::int32_t>(k), step});
      ++path.slice_first[static_cast<std::size_t>(k / Slice<T>::width) + 2];
    });
    now.swap(next);
  }
  path.first[shrinks] = static_cast<Index>(path.events.size());
  for (std::size_t s = 2; s < path.slice_first.size(); ++s)
    path.slice_first[s] += path.slice_first[s - 1];
  path.by_slice.resize(path.events.size());
  path.shrink_of.resize(path.events.size());
  for (Index i = 1; i < shrinks; ++i)
    for (Index e = path.first[i]; e < path.first[i + 1]; ++e) {
      const Event event = path.events[static_cast<std::size_t>(e)];
      const auto place = static_cast<std::size_t>(
          path.slice_first[static_cast<std::size_t>(event.input / Slice<T>::width) + 1]++);
      path.by_slice[place] = {static_cast<std::int32_t>(event.input % Slice<T>::width), event.step};
      path.shrink_of[place] = static_cast<std::int32_t>(i);
    }
}

/// Adds this slice's share of the scores of one row. Hs: [n x width] the slice's columns of H,
/// packed.
template <class T>
void score_slice(const CodePath<T>& path, const Range<T>& range, T top, Index slice, const T* Hs,
                 const T* w, const T* h, const T* Z0, const T* y0, T* scores) {
  using S = Slice<T>;
  using Vector = typename S::Vector;
  alignas(64) T z[S::width];
  std::copy(Z0, Z0 + S::width, z);
  Vector y[S::vectors], weights[S::vectors], target[S::vectors];
  std::memcpy(y, y0, sizeof y);
  std::memcpy(weights, w, sizeof weights);
  std::memcpy(target, h, sizeof target);
  auto own = path.slice_first[static_cast<std::size_t>(slice)];
  const auto own_end = path.slice_first[static_cast<std::size_t>(slice) + 1];
  for (Index i = 0; i < shrinks; ++i) {
    if (i > 0)
      for (Index e = path.first[i]; e < path.first[i + 1]; ++e) {
        const Event event = path.events[static_cast<std::size_t>(e)];
        const auto* row = reinterpret_cast<const Vector*>(Hs + event.input * S::width);
        const T step = T(event.step);
        for (Index v = 0; v < S::vectors; ++v) y[v] += step * row[v];
      }
    for (; own < own_end && path.shrink_of[static_cast<std::size_t>(own)] == i; ++own)
      z[path.by_slice[static_cast<std::size_t>(own)].input] +=
          T(path.by_slice[static_cast<std::size_t>(own)].step);
    const T scale = range.scale(i, top);
    Vector sum{};
    for (Index v = 0; v < S::vectors; ++v) {
      Vector codes;
      std::memcpy(&codes, z + v * S::lanes, sizeof codes);
      sum += (scale * codes - weights[v]) * (scale * y[v] - target[v]);
    }
    T total = 0;
    for (Index l = 0; l < S::lanes; ++l) total += sum[l];
    scores[i] += total;
  }
}

struct Candidate {
  Index row, shrink;
  int zero;
};

/// e of one candidate.
template <class T>
void candidate_error(const T* w, Index n, T scale, T zero, T top, T* e) {
  for (Index k = 0; k < n; ++k) e[k] = scale * (code_of<T>(w[k], scale, zero, top) - zero) - w[k];
}

/// e H e' of many candidates, one product.
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
Matrix<T> padded(View<const T> M) {
  const Index width = (M.cols + Slice<T>::width - 1) / Slice<T>::width * Slice<T>::width;
  Matrix<T> out(M.rows, width);
  for (Index r = 0; r < M.rows; ++r) std::copy(M.row(r), M.row(r) + M.cols, out.row(r));
  return out;
}

}  // namespace

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

template <class T>
void search_hessian(View<const T> W, View<const T> H, const GridSettings& settings, T* scale,
                    T* zero, Index stride) {
  using S = Slice<T>;
  if (W.rows == 0) return;
  const Index n = W.cols, rows = W.rows, slices = (n + S::width - 1) / S::width;
  const T top = T((1 << settings.bits) - 1);
  const auto ranges = ranges_of(W, settings);
  const auto Wp = padded(W), h = padded<T>(linalg::product<T>(W, H).view());
  Matrix<T> scores(rows * 2, shrinks), Hs(n, S::width), Z0(rows, slices * S::width);
  std::vector<CodePath<T>> paths(static_cast<std::size_t>(rows));
  for (int z = 0; z < 2; ++z) {
    for (Index r = 0; r < rows; ++r) {
      const auto& range = ranges[static_cast<std::size_t>(r)];
      if (z < range.n_zeros)
        trace_codes(W.row(r), n, range, range.zeros[z], top, Z0.row(r),
                    paths[static_cast<std::size_t>(r)]);
    }
    const auto y0 = padded<T>(linalg::product<T>(Z0.view().cols_from(0, n), H).view());
    for (Index s = 0; s < slices; ++s) {
      const Index first = s * S::width, width = std::min(S::width, n - first);
      for (Index k = 0; k < n; ++k)
        std::copy(H.row(k) + first, H.row(k) + first + width, Hs.row(k));
      if (width < S::width)
        for (Index k = 0; k < n; ++k) std::fill(Hs.row(k) + width, Hs.row(k) + S::width, T(0));
      for (Index r = 0; r < rows; ++r)
        if (z < ranges[static_cast<std::size_t>(r)].n_zeros)
          score_slice(paths[static_cast<std::size_t>(r)], ranges[static_cast<std::size_t>(r)], top,
                      s, Hs.data(), Wp.row(r) + first, h.row(r) + first, Z0.row(r) + first,
                      y0.row(r) + first, scores.row(2 * r + z));
    }
  }
  // Rounding may have changed the order of near-equal scores: whoever is within a margin far above
  // the rounding error of the best is scored once more in the way of the full search.
  const T relative = sizeof(T) == 4 ? T(1e-4) : T(1e-10),
          cross = sizeof(T) == 4 ? T(1e-6) : T(1e-14);
  std::vector<Candidate> close;
  for (Index r = 0; r < rows; ++r) {
    const int zeros = ranges[static_cast<std::size_t>(r)].n_zeros;
    T energy = 0, best = std::numeric_limits<T>::infinity();
    for (Index k = 0; k < n; ++k) energy += Wp(r, k) * h(r, k);
    if (!(energy > T(0))) {  // a row of zeros: every candidate is exact, the first wins
      close.push_back({r, 0, 0});
      continue;
    }
    for (int z = 0; z < zeros; ++z)
      for (Index i = 0; i < shrinks; ++i) best = std::min(best, scores(2 * r + z, i));
    const T floor = std::max(best, T(0)),
            margin = relative * floor + cross * std::sqrt(floor * energy) + cross * cross * energy;
    for (Index i = 0; i < shrinks; ++i)
      for (int z = 0; z < zeros; ++z)
        if (scores(2 * r + z, i) <= best + margin) close.push_back({r, i, z});
  }
  const bool decided = static_cast<Index>(close.size()) == rows;
  choose(close,
         decided ? std::vector<T>(close.size(), T(0)) : exact_scores<T>(W, H, ranges, top, close),
         ranges, top, scale, zero, stride);
}

template void search_hessian_full(View<const float>, View<const float>, const GridSettings&, float*,
                                  float*, Index);
template void search_hessian_full(View<const double>, View<const double>, const GridSettings&,
                                  double*, double*, Index);
template void search_hessian(View<const float>, View<const float>, const GridSettings&, float*,
                             float*, Index);
template void search_hessian(View<const double>, View<const double>, const GridSettings&, double*,
                             double*, Index);

}  // namespace constrictor::quant
