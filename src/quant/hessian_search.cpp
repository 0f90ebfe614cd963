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
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "linalg/gemm.hpp"
#include "quant/candidates.hpp"
#include "quant/code_path.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {
namespace {

/// Rows of the unit matrix: a code change inside the slice, as a vector operation.
template <class T>
const T* unit_row(Index i) {
  struct Table {
    alignas(64) T rows[Slice<T>::width][Slice<T>::width] = {};
    Table() {
      for (Index k = 0; k < Slice<T>::width; ++k) rows[k][k] = 1;
    }
  };
  static const Table table;
  return table.rows[i];
}

/// What one row brings to a slice: its weights, h = w H, Z and y = Z H at the first shrink.
template <class T>
struct RowSlice {
  const T *w, *h, *Z0, *y0;
};

/// y <- y + step * row, all four registers.
template <class T>
inline void add_row(typename Slice<T>::Vector (&y)[Slice<T>::vectors], T step, const T* row) {
  const auto* from = reinterpret_cast<const typename Slice<T>::Vector*>(row);
  for (Index v = 0; v < Slice<T>::vectors; ++v) y[v] += step * from[v];
}

/// Adds a slice's share of the scores of one row, lane by lane: scores [shrinks x lanes].
/// Hs [n x width]: the slice's columns of H, packed.
template <class T>
void score_slice(const CodePath<T>& path, const Range<T>& range, T top, Index slice, const T* Hs,
                 const RowSlice<T>& row, T* scores) {
  using S = Slice<T>;
  typename S::Vector z[S::vectors], y[S::vectors], w[S::vectors], h[S::vectors];
  std::memcpy(z, row.Z0, sizeof z);
  std::memcpy(y, row.y0, sizeof y);
  std::memcpy(w, row.w, sizeof w);
  std::memcpy(h, row.h, sizeof h);
  const CodeEvent<T>* event = path.events.data();
  auto own = path.own_first[static_cast<std::size_t>(slice)];
  const auto own_end = path.own_first[static_cast<std::size_t>(slice) + 1];
  for (Index i = 0; i < shrinks; ++i) {
    const CodeEvent<T>* last = path.events.data() + path.first[static_cast<std::size_t>(i) + 1];
    for (; event < last; ++event) add_row<T>(y, event->step, Hs + event->input * S::width);
    for (; own < own_end && path.own_shrink[static_cast<std::size_t>(own)] == i; ++own)
      add_row<T>(z, path.own[static_cast<std::size_t>(own)].step,
                 unit_row<T>(path.own[static_cast<std::size_t>(own)].input));
    const T scale = range.scale(i, top);
    auto* total = reinterpret_cast<typename S::Vector*>(scores + i * S::lanes);
    auto sum = *total;
    for (Index v = 0; v < S::vectors; ++v) sum += (scale * z[v] - w[v]) * (scale * y[v] - h[v]);
    *total = sum;
  }
}

template <class T>
Matrix<T> padded(View<const T> M) {
  const Index width = (M.cols + Slice<T>::width - 1) / Slice<T>::width * Slice<T>::width;
  Matrix<T> out(M.rows, width);
  for (Index r = 0; r < M.rows; ++r) std::copy(M.row(r), M.row(r) + M.cols, out.row(r));
  return out;
}

/// Scores of all rows, zeros and shrinks, lane by lane: [2 rows x shrinks lanes]; rounding as it
/// comes.
template <class T>
Matrix<T> lane_scores(const Matrix<T>& W, const Matrix<T>& h, View<const T> H,
                      const std::vector<Range<T>>& ranges, T top) {
  using S = Slice<T>;
  const Index n = H.rows, rows = W.rows();
  Matrix<T> scores(2 * rows, shrinks * S::lanes), Hs(n, S::width), Z0(rows, W.cols());
  std::vector<CodePath<T>> paths(static_cast<std::size_t>(rows));
  for (int zero = 0; zero < 2; ++zero) {
    std::vector<Index> members;  // rows that have this zero point
    for (Index r = 0; r < rows; ++r) {
      const auto& range = ranges[static_cast<std::size_t>(r)];
      if (zero >= range.n_zeros) continue;
      members.push_back(r);
      paths[static_cast<std::size_t>(r)].trace(W.row(r), n, range, range.zeros[zero], top,
                                               Z0.row(r));
    }
    const auto y0 = padded<T>(linalg::product<T>(read_only(Z0.view()).cols_from(0, n), H).view());
    for (Index slice = 0; slice < S::count(n); ++slice) {
      const Index first = slice * S::width, width = std::min(S::width, n - first);
      for (Index k = 0; k < n; ++k) {
        std::copy(H.row(k) + first, H.row(k) + first + width, Hs.row(k));
        std::fill(Hs.row(k) + width, Hs.row(k) + S::width, T(0));
      }
      for (const Index r : members)
        score_slice<T>(paths[static_cast<std::size_t>(r)], ranges[static_cast<std::size_t>(r)], top,
                       slice, Hs.data(),
                       {W.row(r) + first, h.row(r) + first, Z0.row(r) + first, y0.row(r) + first},
                       scores.row(2 * r + zero));
    }
  }
  return scores;
}

/// Rounding may have changed the order of near-equal scores: the candidates of row r within a
/// margin far above the rounding error of the best, in the order of the search.
template <class T>
void add_close_candidates(Index r, int n_zeros, const Matrix<T>& lanes, T energy,
                          std::vector<Candidate>& close) {
  constexpr T relative = sizeof(T) == 4 ? T(1e-4) : T(1e-10);
  constexpr T cross = sizeof(T) == 4 ? T(1e-6) : T(1e-14);
  if (!(energy > T(0))) {  // a row of zeros: every candidate is exact, the first wins
    close.push_back({r, 0, 0});
    return;
  }
  T scores[2][shrinks], best = std::numeric_limits<T>::infinity();
  for (int z = 0; z < n_zeros; ++z)
    for (Index i = 0; i < shrinks; ++i) {
      const T* lane = lanes.row(2 * r + z) + i * Slice<T>::lanes;
      scores[z][i] = std::accumulate(lane, lane + Slice<T>::lanes, T(0));
      best = std::min(best, scores[z][i]);
    }
  const T floor = std::max(best, T(0));
  const T margin = relative * floor + cross * std::sqrt(floor * energy) + cross * cross * energy;
  for (Index i = 0; i < shrinks; ++i)
    for (int z = 0; z < n_zeros; ++z)
      if (scores[z][i] <= best + margin) close.push_back({r, i, z});
}

}  // namespace

template <class T>
void search_hessian(View<const T> W, View<const T> H, const GridSettings& settings, T* scale,
                    T* zero, Index stride) {
  if (W.rows == 0) return;
  const T top = T((1 << settings.bits) - 1);
  const auto ranges = ranges_of(W, settings);
  const auto Wp = padded(W), h = padded<T>(linalg::product<T>(W, H).view());
  const auto scores = lane_scores<T>(Wp, h, H, ranges, top);
  std::vector<Candidate> close;
  for (Index r = 0; r < W.rows; ++r) {
    const T energy = std::inner_product(Wp.row(r), Wp.row(r) + W.cols, h.row(r), T(0));
    add_close_candidates(r, ranges[static_cast<std::size_t>(r)].n_zeros, scores, energy, close);
  }
  const bool decided = static_cast<Index>(close.size()) == W.rows;
  choose(close, decided ? std::vector<T>(close.size()) : exact_scores<T>(W, H, ranges, top, close),
         ranges, top, scale, zero, stride);
}

template void search_hessian(View<const float>, View<const float>, const GridSettings&, float*,
                             float*, Index);
template void search_hessian(View<const double>, View<const double>, const GridSettings&, double*,
                             double*, Index);

}  // namespace constrictor::quant
