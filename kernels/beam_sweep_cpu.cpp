// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <memory>

#include "kernels/beam_sweep.hpp"

namespace constrictor::kernels {
namespace {

/// One vector register; all arrays below are whole registers long.
template <class T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(64)));
  typedef T Anywhere __attribute__((vector_size(64), aligned(alignof(T)), may_alias));
  static constexpr Index count = 64 / static_cast<Index>(sizeof(T));
  static constexpr Index padded(Index n) { return (n + count - 1) / count * count; }
};

constexpr Index most_candidates = 2 * most_prefixes, spare = 16;  // lanes of a float register

/// The candidates of one row at one column: number k is prefix k with its nearest code, number
/// prefixes + k the same prefix with its second one. Entries behind the last one may be written.
template <class T>
struct alignas(64) Candidates {
  T weight[most_prefixes];
  T cost[most_candidates + spare], error[most_candidates + spare], code[most_candidates + spare];
  std::int32_t rank[most_candidates + spare];
  std::int32_t sorted[most_candidates + spare];  // candidate of every rank
};

/// Where the survivors of a column came from.
template <class T>
struct Step {
  T error[most_prefixes];
  std::uint8_t code[most_prefixes], parent[most_prefixes];
};

/// What a row needs in a panel.
template <class T>
struct alignas(64) RowBeam {
  T weights[2][most_prefixes][sweep_panel];  // of the prefixes, now and one column later
  T cost[most_prefixes];
  Candidates<T> candidates;
  Step<T> steps[sweep_panel];
};

/// Rows that go through a column together: each alone would wait for its own divisions.
constexpr Index most_together = 4;
constexpr Index together(Index kept) { return std::clamp<Index>(32 / kept, 1, most_together); }

/// What one thread needs for a panel.
template <class T>
struct alignas(64) Scratch {
  T U[sweep_panel][sweep_panel];  // zeros below the diagonal and beyond the panel
  RowBeam<T> rows[most_together];
};

template <class T>
struct ColumnGrid {
  T scale, zero, top, diagonal;
};

template <class T>
void propose(const T (*weights)[sweep_panel], const T* cost, Index prefixes, Index column,
             const ColumnGrid<T>& grid, Candidates<T>& out) {
  const Index padded = Lanes<T>::padded(prefixes);
  for (Index k = 0; k < prefixes; ++k) out.weight[k] = weights[k][column];
  T second[3][most_prefixes];  // code, error, cost
  const T scale = grid.scale, zero = grid.zero, top = grid.top, diagonal = grid.diagonal;
#pragma omp simd
  for (Index k = 0; k < padded; ++k) {
    const T w = out.weight[k];
    const T near = code_of<T>(w, scale, zero, top);
    const T distance = w - scale * (near - zero);
    T other = near + (distance > T(0) ? T(1) : T(-1));
    other = other < T(0) ? T(1) : other;
    other = other > top ? top - T(1) : other;
    const T error = distance / diagonal, error_of_other = (w - scale * (other - zero)) / diagonal;
    out.code[k] = near;
    out.error[k] = error;
    out.cost[k] = cost[k] + error * error;
    second[0][k] = other;
    second[1][k] = error_of_other;
    second[2][k] = cost[k] + error_of_other * error_of_other;
  }
  using Anywhere = typename Lanes<T>::Anywhere;
  T* const to[3] = {out.code + prefixes, out.error + prefixes, out.cost + prefixes};
  for (Index k = 0; k < padded; k += Lanes<T>::count)
    for (int i = 0; i < 3; ++i)
      *reinterpret_cast<Anywhere*>(to[i] + k) = *reinterpret_cast<const Anywhere*>(second[i] + k);
  *reinterpret_cast<Anywhere*>(out.cost + 2 * prefixes) =
      Anywhere{} + std::numeric_limits<T>::infinity();
}

/// The candidates with equal costs in order, too; costs that are no numbers leave a place free.
template <class T>
void sort_with_ties(Candidates<T>& candidates, Index count) {
  std::fill(candidates.sorted, candidates.sorted + count, 0);
  for (Index i = 0; i < count; ++i) {
    Index rank = 0;
    for (Index j = 0; j < count; ++j)
      rank += candidates.cost[j] < candidates.cost[i] ||
              (candidates.cost[j] == candidates.cost[i] && j < i);
    candidates.sorted[rank] = static_cast<std::int32_t>(i);
  }
}

/// sorted[rank] = candidate; rank = candidates that come before it: cheaper ones, and equal ones of
/// lower number.
template <class T>
void sort(Candidates<T>& candidates, Index count) {
  constexpr Index lanes = Lanes<T>::count;
  using Vector = typename Lanes<T>::Vector;
  for (Index first = 0; first < count; first += lanes) {
    const Vector own = *reinterpret_cast<const Vector*>(candidates.cost + first);
    auto ranks = own < own;  // no ones, as integers
    for (Index j = 0; j < count; ++j) ranks -= (Vector{} + candidates.cost[j]) < own;
    for (Index i = 0; i < lanes; ++i)
      candidates.rank[first + i] = static_cast<std::int32_t>(ranks[i]);
  }
  Index sum = 0;
  for (Index i = 0; i < count; ++i) {
    candidates.sorted[candidates.rank[i]] = static_cast<std::int32_t>(i);
    sum += candidates.rank[i];
  }
  // 0 + 1 + ... unless two costs are equal (or no numbers).
  if (sum != count * (count - 1) / 2) sort_with_ties<T>(candidates, count);
}

/// to_j = from_j - error u_j for whole registers from column `first` on.
template <class T>
void spread(const T* from, T error, const T* u, Index first, T* to) {
  using Vector = typename Lanes<T>::Vector;
  constexpr Index lanes = Lanes<T>::count;
  for (Index j = first / lanes * lanes; j < sweep_panel; j += lanes)
    *reinterpret_cast<Vector*>(to + j) = *reinterpret_cast<const Vector*>(from + j) -
                                         error * *reinterpret_cast<const Vector*>(u + j);
}

/// The cheapest candidates become the prefixes.
template <class T>
void survive(const T* u, Index column, Index prefixes, Index survivors, RowBeam<T>& row) {
  const auto& candidates = row.candidates;
  Step<T>& step = row.steps[column];
  const auto* now = row.weights[column % 2];
  auto* next = row.weights[(column + 1) % 2];
  for (Index k = 0; k < survivors; ++k) {
    const Index i = candidates.sorted[k], parent = i < prefixes ? i : i - prefixes;
    row.cost[k] = candidates.cost[i];
    step.error[k] = candidates.error[i];
    step.code[k] = static_cast<std::uint8_t>(candidates.code[i]);
    step.parent[k] = static_cast<std::uint8_t>(parent);
    spread<T>(now[parent], candidates.error[i], u, column + 1, next[k]);
  }
}

/// The columns of the panel for some rows from `first` on.
template <class T>
void sweep_rows(Index first, Index rows, Index n, Index before, const PanelGrid<T>& grid,
                Index kept, Scratch<T>& scratch) {
  Index prefixes = before;
  for (Index c = 0; c < n; ++c) {
    const std::int32_t group = grid.group[c];
    const Index survivors = std::min(kept, 2 * prefixes);
    for (Index r = 0; r < rows; ++r) {
      RowBeam<T>& row = scratch.rows[r];
      propose<T>(
          row.weights[c % 2], row.cost, prefixes, c,
          {grid.scale(first + r, group), grid.zero(first + r, group), grid.top, scratch.U[c][c]},
          row.candidates);
    }
    for (Index r = 0; r < rows; ++r) sort<T>(scratch.rows[r].candidates, 2 * prefixes);
    for (Index r = 0; r < rows; ++r)
      survive<T>(scratch.U[c], c, prefixes, survivors, scratch.rows[r]);
    prefixes = survivors;
  }
}

/// Row number r of the result, back along the survivors' ancestors.
template <class T>
void write_row(const RowBeam<T>& row, Index r, Index n, const BeamResult<T>& result) {
  const Index after = result.root.cols;
  std::uint8_t at[most_prefixes];
  for (Index k = 0; k < after; ++k) at[k] = static_cast<std::uint8_t>(k);
  for (Index c = n - 1; c >= 0; --c) {
    const Step<T>& step = row.steps[c];
    for (Index k = 0; k < after; ++k) {
      result.errors(r * after + k, c) = step.error[at[k]];
      result.codes(r * after + k, c) = step.code[at[k]];
      at[k] = step.parent[at[k]];
    }
  }
  for (Index k = 0; k < after; ++k) {
    result.root(r, k) = at[k];
    // Only differences matter; small numbers keep them exact over thousands of columns.
    result.cost(r, k) = row.cost[k] - row.cost[0];
  }
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
  const auto scratch = std::make_unique_for_overwrite<Scratch<T>>();
  for (Index c = 0; c < n; ++c) {
    std::fill(scratch->U[c], scratch->U[c] + sweep_panel, T(0));
    std::copy(U.row(c) + c, U.row(c) + n, scratch->U[c] + c);
  }
  for (RowBeam<T>& row : scratch->rows) {  // what stands behind the last prefix is read
    std::fill(row.cost, row.cost + most_prefixes, T(0));
    std::fill(row.candidates.weight, row.candidates.weight + most_prefixes, T(0));
  }
  for (Index first = 0; first < rows; first += together(kept)) {
    const Index count = std::min(together(kept), rows - first);
    for (Index i = 0; i < count * before; ++i) {
      const T* from = W.row(first * before + i);
      RowBeam<T>& row = scratch->rows[i / before];
      std::copy(from, from + n, row.weights[0][i % before]);
      row.cost[i % before] = result.cost(first + i / before, i % before);
    }
    sweep_rows<T>(first, count, n, before, grid, kept, *scratch);
    for (Index r = 0; r < count; ++r) write_row<T>(scratch->rows[r], first + r, n, result);
  }
}

template void beam_sweep(View<const float>, Index, View<const float>, const PanelGrid<float>&,
                         Index, const BeamResult<float>&);
template void beam_sweep(View<const double>, Index, View<const double>, const PanelGrid<double>&,
                         Index, const BeamResult<double>&);

}  // namespace constrictor::kernels
