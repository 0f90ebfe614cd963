// SPDX-License-Identifier: Apache-2.0
#include "kernels/beam_sweep.hpp"

#include <algorithm>

namespace constrictor::kernels {
namespace {

constexpr Index most_candidates = 2 * most_prefixes;

/// The candidates of one row at one column: number k is prefix k with its nearest code, number
/// prefixes + k the same prefix with its second one.
template <class T>
struct Candidates {
  T cost[most_candidates], error[most_candidates], code[most_candidates];
  std::int32_t rank[most_candidates];
};

/// Where a survivor came from, column by column.
template <class T>
struct Step {
  T error[most_prefixes];
  std::uint8_t code[most_prefixes];
  std::uint8_t parent[most_prefixes];
};

/// What one thread needs for a row.
template <class T>
struct Scratch {
  T weights[2][most_prefixes][sweep_panel];  // of the prefixes, now and one column later
  T cost[most_prefixes];
  Candidates<T> candidates;
  Step<T> steps[sweep_panel];
};

template <class T>
void propose(const T (*weights)[sweep_panel], const T* cost, Index prefixes, Index column, T scale,
             T zero, T top, T diagonal, Candidates<T>& out) {
  for (Index k = 0; k < prefixes; ++k) {
    const T w = weights[k][column];
    const T near = code_of<T>(w, scale, zero, top);
    const T distance = w - scale * (near - zero);
    T other = distance > T(0) ? near + 1 : near - 1;
    other = other < T(0) ? T(1) : other > top ? top - 1 : other;
    out.code[k] = near;
    out.error[k] = distance / diagonal;
    out.code[prefixes + k] = other;
    out.error[prefixes + k] = (w - scale * (other - zero)) / diagonal;
  }
  for (Index k = 0; k < prefixes; ++k) {
    out.cost[k] = cost[k] + out.error[k] * out.error[k];
    out.cost[prefixes + k] = cost[k] + out.error[prefixes + k] * out.error[prefixes + k];
  }
}

/// rank[i] = candidates that come before i: cheaper ones, and equal ones of lower number.
template <class T>
void rank(Candidates<T>& candidates, Index count) {
  const T* const cost = candidates.cost;
  std::int32_t* const ranks = candidates.rank;
  std::fill(ranks, ranks + count, 0);
  for (Index j = 0; j < count; ++j) {
    const T own = cost[j];
    const auto number = static_cast<std::int32_t>(j);
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(count); ++i)
      ranks[i] += static_cast<std::int32_t>(own < cost[i]) |
                  (static_cast<std::int32_t>(own == cost[i]) & static_cast<std::int32_t>(number < i));
  }
}

/// The columns of the panel for one row; returns which weights are the last ones.
template <class T>
Index sweep_row(Index row, Index before, View<const T> U, const PanelGrid<T>& grid, Index kept,
                Scratch<T>& scratch) {
  const Index n = U.rows;
  Index prefixes = before;
  for (Index c = 0; c < n; ++c) {
    const auto* now = scratch.weights[c % 2];
    auto* next = scratch.weights[(c + 1) % 2];
    auto& candidates = scratch.candidates;
    const std::int32_t group = grid.group[c];
    propose<T>(now, scratch.cost, prefixes, c, grid.scale(row, group), grid.zero(row, group),
               grid.top, U(c, c), candidates);
    rank<T>(candidates, 2 * prefixes);
    const Index survivors = std::min(kept, 2 * prefixes);
    Step<T>& step = scratch.steps[c];
    for (Index i = 0; i < 2 * prefixes; ++i) {
      const Index k = candidates.rank[i];
      if (k >= survivors) continue;
      scratch.cost[k] = candidates.cost[i];
      step.error[k] = candidates.error[i];
      step.code[k] = static_cast<std::uint8_t>(candidates.code[i]);
      step.parent[k] = static_cast<std::uint8_t>(i < prefixes ? i : i - prefixes);
    }
    const T* const u = U.row(c);
    for (Index k = 0; k < survivors; ++k) {
      const T* const from = now[step.parent[k]];
      T* const to = next[k];
      const T error = step.error[k];
      for (Index j = c + 1; j < n; ++j) to[j] = from[j] - error * u[j];
    }
    prefixes = survivors;
  }
  return prefixes;
}

}  // namespace

template <class T>
void beam_sweep(View<const T> W, Index before, View<const T> U, const PanelGrid<T>& grid,
                Index kept, const BeamResult<T>& result) {
  const Index n = W.cols, rows = result.root.rows, after = result.root.cols;
  CONSTRICTOR_REQUIRE(n <= sweep_panel && U.rows == n && kept <= most_prefixes, n, U.rows, kept);
  CONSTRICTOR_REQUIRE(W.rows == rows * before && (before == 1 || before == kept) &&
                          after == (before == 1 ? prefixes_after(n, kept) : kept),
                      W.rows, rows, before, after, kept);
  const auto scratch = std::make_unique<Scratch<T>>();
  for (Index r = 0; r < rows; ++r) {
    for (Index k = 0; k < before; ++k) {
      std::copy(W.row(r * before + k), W.row(r * before + k) + n, scratch->weights[0][k]);
      scratch->cost[k] = result.cost(r, k);
    }
    sweep_row<T>(r, before, U, grid, kept, *scratch);
    for (Index k = 0; k < after; ++k) {  // back along the survivor's ancestors
      Index at = k;
      for (Index c = n - 1; c >= 0; --c) {
        const Step<T>& step = scratch->steps[c];
        result.errors(r * after + k, c) = step.error[at];
        result.codes(r * after + k, c) = step.code[at];
        at = step.parent[at];
      }
      result.root(r, k) = static_cast<std::uint8_t>(at);
      // Only differences matter; small numbers keep them exact over thousands of columns.
      result.cost(r, k) = scratch->cost[k] - scratch->cost[0];
    }
  }
}

template void beam_sweep(View<const float>, Index, View<const float>, const PanelGrid<float>&,
                         Index, const BeamResult<float>&);
template void beam_sweep(View<const double>, Index, View<const double>, const PanelGrid<double>&,
                         Index, const BeamResult<double>&);

}  // namespace constrictor::kernels
