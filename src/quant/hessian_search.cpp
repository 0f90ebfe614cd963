// SPDX-License-Identifier: Apache-2.0
// Grid search by e H e'. With the upper root R, H = R R', with Z = C - z (integers), e = s Z - w,
// y = Z R and h = w R:
//
//   score = |e R|^2 = |s y - h|^2
//
// z does not depend on the shrink p, so from one p to the next Z changes only where a code changes:
// each weight passes at most 2^bits - 1 codes on its way out. Such a change (an "event") adds one
// row of R to y. The columns of R are taken in slices that fit registers and cache: y of a slice
// stays in registers while all events of a row run over it, and the score is a sum over slices.
// R is upper triangular: events of inputs behind the slice do not reach it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "linalg/factor.hpp"
#include "linalg/gemm.hpp"
#include "quant/candidates.hpp"
#include "quant/code_path.hpp"
#include "quant/grid.hpp"

namespace constrictor::quant {
namespace {

/// Adds a slice's share of the scores of one row, lane by lane: scores [shrinks x lanes].
///   Rs     [inputs x width]  the slice's columns of R, packed; inputs behind the slice left out
///   h, y0  [width]           of w R, and of Z R at the first shrink
template <class T>
void score_slice(const CodePath<T>& path, const Range<T>& range, T top, Index inputs, const T* Rs,
                 const T* h, const T* y0, T* scores) {
  using S = Slice<T>;
  using Vector = typename S::Vector;
  Vector y[S::vectors], target[S::vectors];
  std::memcpy(y, y0, sizeof y);
  std::memcpy(target, h, sizeof target);
  for (Index i = 0; i < shrinks; ++i) {
    const CodeEvent<T>* event = path.events.data() + path.first[static_cast<std::size_t>(i)];
    const CodeEvent<T>* last = path.events.data() + path.first[static_cast<std::size_t>(i) + 1];
    for (; event < last && event->input < inputs; ++event) {
      const auto* row = reinterpret_cast<const Vector*>(Rs + event->input * S::width);
      for (Index v = 0; v < S::vectors; ++v) y[v] += event->step * row[v];
    }
    const T scale = range.scale(i, top);
    auto* total = reinterpret_cast<Vector*>(scores + i * S::lanes);
    auto sum = *total;
    for (Index v = 0; v < S::vectors; ++v) {
      const Vector miss = scale * y[v] - target[v];
      sum += miss * miss;
    }
    *total = sum;
  }
}

template <class T>
Matrix<T> padded(View<const T> M) {
  Matrix<T> out(M.rows, Slice<T>::count(M.cols) * Slice<T>::width);
  for (Index r = 0; r < M.rows; ++r) std::copy(M.row(r), M.row(r) + M.cols, out.row(r));
  return out;
}

template <class T>
Matrix<T> in_order(View<const T> W, std::span<const std::int32_t> order) {
  Matrix<T> out(W);
  if (order.empty()) return out;
  for (Index r = 0; r < W.rows; ++r)
    for (Index c = 0; c < W.cols; ++c) out(r, c) = W(r, order[static_cast<std::size_t>(c)]);
  return out;
}

/// Scores of all rows, zeros and shrinks, lane by lane: [2 rows x shrinks lanes].
///   W [rows x n] in the order of R, h = W R
template <class T>
Matrix<T> lane_scores(View<const T> W, View<const T> h, View<const T> R,
                      const std::vector<Range<T>>& ranges, T top) {
  using S = Slice<T>;
  const Index n = W.cols, rows = W.rows;
  const auto h_padded = padded<T>(h);
  Matrix<T> scores(2 * rows, shrinks * S::lanes), Rs(n, S::width), Z0(rows, n);
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
    if (members.empty()) break;
    const auto y0 = padded<T>(linalg::product<T>(Z0.view(), R).view());
    for (Index slice = 0; slice < S::count(n); ++slice) {
      const Index first = slice * S::width, last = std::min(n, first + S::width);
      for (Index k = 0; k < last; ++k) {
        std::copy(R.row(k) + first, R.row(k) + last, Rs.row(k));
        std::fill(Rs.row(k) + last - first, Rs.row(k) + S::width, T(0));
      }
      for (const Index r : members)
        score_slice<T>(paths[static_cast<std::size_t>(r)], ranges[static_cast<std::size_t>(r)], top,
                       last, Rs.data(), h_padded.row(r) + first, y0.row(r) + first,
                       scores.row(2 * r + zero));
    }
  }
  return scores;
}

/// Rounding may have changed the order of near-equal scores: the candidates of row r within a
/// margin far above the rounding error of the best, in the order of the search.
///   energy  w H w' of the row
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
  const T margin = relative * best + cross * std::sqrt(best * energy) + cross * cross * energy;
  for (Index i = 0; i < shrinks; ++i)
    for (int z = 0; z < n_zeros; ++z)
      if (scores[z][i] <= best + margin) close.push_back({r, i, z});
}

}  // namespace

template <class T>
void search_hessian(View<const T> W, const ErrorMetric<T>& metric, const GridSettings& settings,
                    T* scale, T* zero, Index stride) {
  if (W.rows == 0) return;
  View<const T> R = metric.R;
  std::span<const std::int32_t> order = metric.order;
  Matrix<T> own_root;
  if (R.rows == 0) {
    order = {};
    own_root = Matrix<T>::uninitialized(W.cols, W.cols);
    // No root, no shortcut: H is indefinite, which only plain rounding puts up with.
    if (!linalg::upper_root<T>(metric.H, own_root.view()))
      return search_hessian_full<T>(W, metric.H, settings, scale, zero, stride);
    R = own_root.view();
  }
  const T top = T((1 << settings.bits) - 1);
  const auto ranges = ranges_of(W, settings);
  const auto ordered = in_order(W, order);
  const auto h = linalg::product<T>(ordered.view(), R);
  const auto scores = lane_scores<T>(ordered.view(), h.view(), R, ranges, top);
  std::vector<Candidate> close;
  for (Index r = 0; r < W.rows; ++r) {
    const T energy = std::inner_product(h.row(r), h.row(r) + W.cols, h.row(r), T(0));
    add_close_candidates(r, ranges[static_cast<std::size_t>(r)].n_zeros, scores, energy, close);
  }
  const bool decided = static_cast<Index>(close.size()) == W.rows;
  choose(close,
         decided ? std::vector<T>(close.size()) : exact_scores<T>(W, metric.H, ranges, top, close),
         ranges, top, scale, zero, stride);
}

template void search_hessian(View<const float>, const ErrorMetric<float>&, const GridSettings&,
                             float*, float*, Index);
template void search_hessian(View<const double>, const ErrorMetric<double>&, const GridSettings&,
                             double*, double*, Index);

}  // namespace constrictor::quant
