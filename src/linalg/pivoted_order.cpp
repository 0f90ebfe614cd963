// SPDX-License-Identifier: Apache-2.0
#include "linalg/pivoted_order.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/parallel.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::linalg {
namespace {

// Sizes of the parallel pieces; fixed, so that the bits do not depend on the threads.
constexpr Index strip = 2048;  // columns of a row of the factor
constexpr Index tile = 256;

constexpr double taken = std::numeric_limits<double>::infinity();

template <class T>
class MinimumPivoting {
 public:
  explicit MinimumPivoting(View<const T> H)
      : A_(H), L_(Matrix<T>::uninitialized(std::min(H.rows, pivoting_panel), H.rows)) {
    left_.resize(static_cast<std::size_t>(H.rows));
    std::iota(left_.begin(), left_.end(), 0);
    for (Index i = 0; i < H.rows; ++i) diagonal_.push_back(static_cast<double>(H(i, i)));
  }

  bool run(std::vector<std::int32_t>& order) {
    order.resize(left_.size());
    while (!left_.empty()) {
      const Index width = std::min(columns(), pivoting_panel);
      for (Index k = 0; k < width; ++k) {
        // The first of equal minima: `left_` rises, so that is the lowest number.
        const auto least = std::min_element(diagonal_.begin(), diagonal_.end());
        if (!(*least > 0) || !std::isfinite(*least)) return false;
        const Index pivot = least - diagonal_.begin();
        order[left_.size() - static_cast<std::size_t>(k) - 1] =
            left_[static_cast<std::size_t>(pivot)];
        eliminate(k, pivot);
      }
      drop_taken(width);
      update(width);
    }
    return true;
  }

 private:
  Index columns() const { return static_cast<Index>(left_.size()); }

  /// Row k of the panel, L_kj = (A_pj - sum_i L_ip L_ij) / sqrt(d_p) with i < k, and the diagonal
  /// of what it leaves.
  void eliminate(Index k, Index pivot) {
    const double d = diagonal_[static_cast<std::size_t>(pivot)];
    const T scale = static_cast<T>(1 / std::sqrt(d));
    const auto piece_of_row = [&](Index t) {
      const Piece columns_of = piece(columns(), strip, t);
      T* row = L_.row(k);
      for (Index j = columns_of.first; j < columns_of.last; ++j)
        row[j] = j < pivot ? A_(j, pivot) : A_(pivot, j);
      for (Index i = 0; i < k; ++i) {
        const T* above = L_.row(i);
        const T factor = above[pivot];
        for (Index j = columns_of.first; j < columns_of.last; ++j) row[j] -= factor * above[j];
      }
      for (Index j = columns_of.first; j < columns_of.last; ++j) {
        row[j] *= scale;
        const double v = static_cast<double>(row[j]);
        diagonal_[static_cast<std::size_t>(j)] -= v * v;  // infinity stays
      }
    };
    if (const Index count = pieces(columns(), strip); count > 1)
      parallel_for(count, piece_of_row);
    else
      piece_of_row(0);
    diagonal_[static_cast<std::size_t>(pivot)] = taken;
  }

  /// Takes the columns of the panel's pivots out of A, L and the lists.
  void drop_taken(Index width) {
    std::vector<Index> kept;
    for (Index j = 0; j < columns(); ++j)
      if (diagonal_[static_cast<std::size_t>(j)] != taken) kept.push_back(j);
    const Index n = static_cast<Index>(kept.size());
    for (Index r = 0; r < n; ++r) {  // rows and columns move towards the corner only
      const auto from = kept[static_cast<std::size_t>(r)];
      for (Index c = r; c < n; ++c) A_(r, c) = A_(from, kept[static_cast<std::size_t>(c)]);
      left_[static_cast<std::size_t>(r)] = left_[static_cast<std::size_t>(from)];
      diagonal_[static_cast<std::size_t>(r)] = diagonal_[static_cast<std::size_t>(from)];
    }
    for (Index k = 0; k < width; ++k)
      for (Index c = 0; c < n; ++c) L_(k, c) = L_(k, kept[static_cast<std::size_t>(c)]);
    left_.resize(kept.size());
    diagonal_.resize(kept.size());
  }

  /// A <- A - L' L, upper triangle.
  void update(Index width) {
    const Index tiles = pieces(columns(), tile);
    const auto panel = read_only(L_.view()).rows_from(0, width);
    parallel_for(tiles * tiles, [&](Index t) {
      if (t % tiles < t / tiles) return;
      const Piece rows = piece(columns(), tile, t / tiles),
                  cols = piece(columns(), tile, t % tiles);
      gemm<T>(Transpose::yes, Transpose::no, T(-1), panel.cols_from(rows.first, rows.size()),
              panel.cols_from(cols.first, cols.size()), T(1),
              A_.view().block(rows.first, cols.first, rows.size(), cols.size()));
    });
  }

  Matrix<T> A_;  // upper triangle of the Schur complement of the columns that are left
  Matrix<T> L_;  // rows of the panel's pivots
  std::vector<std::int32_t> left_;  // numbers of those columns, rising
  std::vector<double> diagonal_;    // of the Schur complement; infinity: taken in this panel
};

}  // namespace

template <class T>
bool pivoted_order(View<const T> H, std::vector<std::int32_t>& order) {
  CONSTRICTOR_REQUIRE(H.rows == H.cols, H.rows, H.cols);
  return MinimumPivoting<T>(H).run(order);
}

template bool pivoted_order(View<const float>, std::vector<std::int32_t>&);
template bool pivoted_order(View<const double>, std::vector<std::int32_t>&);

}  // namespace constrictor::linalg
