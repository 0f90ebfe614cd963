// SPDX-License-Identifier: Apache-2.0
// BoA (arXiv 2406.13474) and TurboBoA: the rows of one head, N at a time. For rows B and later rows
// R:
//
//   1. grids of B on the current W[B, :]            (or all rows once, up front)
//   2. Q[B, :] = column sweep of W[B, :]
//   3. W[R, :] -= U_out'[R, B] (U_out'[B, B])^-1 (W[B, :] - Q[B, :] + W[B, :] D H_in^-1)
#include <algorithm>

#include "linalg/gemm.hpp"
#include "quant/solvers.hpp"
#include "quant/sweep.hpp"

namespace constrictor::quant {
namespace {

using linalg::gemm;
using linalg::Transpose;

/// X <- (V')^-1 X for upper triangular V [n x n], X [n x in].
template <class T>
void solve_transposed(View<const T> V, View<T> X) {
  for (Index i = 0; i < V.rows; ++i) {
    T* x = X.row(i);
    for (Index k = 0; k < i; ++k) {
      const T factor = V(k, i);
      const T* above = X.row(k);
      for (Index c = 0; c < X.cols; ++c) x[c] -= factor * above[c];
    }
    for (Index c = 0; c < X.cols; ++c) x[c] /= V(i, i);
  }
}

template <class T>
void copy_rows(View<const T> from, View<T> to) {
  for (Index r = 0; r < from.rows; ++r) std::copy(from.row(r), from.row(r) + from.cols, to.row(r));
}

/// Rows of a head in sweep order and back.
template <class T>
Matrix<T> taken(View<const T> M, const std::vector<std::int32_t>& order, bool back) {
  Matrix<T> out(M);
  for (Index i = 0; i < static_cast<Index>(order.size()); ++i) {
    const Index row = order[static_cast<std::size_t>(i)], from = back ? i : row,
                to = back ? row : i;
    std::copy(M.row(from), M.row(from) + M.cols, out.row(to));
  }
  return out;
}

}  // namespace

template <class T>
Solution<T> solve_turboboa(View<const T> W, const InputSide<T>& input, const OutputSide<T>* output,
                           const QuantSpec& spec) {
  if (output == nullptr) return solve_gptq(W, input, output, spec);
  const Index d = W.rows, in = W.cols;
  CONSTRICTOR_REQUIRE(output->U.rows() == d, output->U.rows(), d);
  const auto live = live_weight(W, input);
  auto work = taken<T>(target_weight<T>(live.view(), input, spec).view(), output->order, false);
  const auto U = output->U.view();
  const auto settings = grid_settings(spec);
  const Index group_size = spec.group_size > 0 ? spec.group_size : in;

  Grid<T> grid(d, in, spec.bits, group_size);
  auto codes = Matrix<std::uint8_t>::uninitialized(d, in);
  if (!spec.adaptive_grid) grid = fit_grid<T>(work.view(), metric_of(input), settings);

  for (Index first = 0; first < d; first += spec.rows_at_once) {
    const Index n = std::min(spec.rows_at_once, d - first), last = first + n, rest = d - last;
    const auto B = work.view().rows_from(first, n);
    Grid<T> block(n, in, spec.bits, group_size);
    const auto rows_of = [&](Matrix<T>& all) { return all.view().rows_from(first, n); };
    if (spec.adaptive_grid) {
      block = fit_grid<T>(B, metric_of(input), settings);
      copy_rows<T>(block.scale.view(), rows_of(grid.scale));
      copy_rows<T>(block.zero.view(), rows_of(grid.zero));
    } else {
      copy_rows<T>(rows_of(grid.scale), block.scale.view());
      copy_rows<T>(rows_of(grid.zero), block.zero.view());
    }
    const auto block_codes = sweep<T>(B, input, block, spec.beam);
    copy_rows<std::uint8_t>(block_codes.view(), codes.view().rows_from(first, n));
    if (rest == 0) continue;

    const auto Q = dequantize<T>(block_codes.view(), block);
    auto error = Matrix<T>::uninitialized(n, in);
    for (Index r = 0; r < n; ++r)
      for (Index c = 0; c < in; ++c) error(r, c) = B(r, c) - Q(r, c);
    if (spec.drift == Drift::sequential && !input.shift.empty())
      gemm<T>(Transpose::no, Transpose::no, T(1), B, input.shift.view(), T(1), error.view());
    solve_transposed<T>(U.block(first, first, n, n), error.view());
    gemm<T>(Transpose::yes, Transpose::no, T(-1), U.block(first, last, n, rest), error.view(), T(1),
            work.view().rows_from(last, rest));
  }

  Solution<T> solution;
  solution.codes = taken<std::uint8_t>(codes.view(), output->order, true);
  grid.scale = taken<T>(grid.scale.view(), output->order, true);
  grid.zero = taken<T>(grid.zero.view(), output->order, true);
  solution.grid = std::move(grid);
  finish<T>(live.view(), input, output, spec, solution);
  return solution;
}

template Solution<float> solve_turboboa(View<const float>, const InputSide<float>&,
                                        const OutputSide<float>*, const QuantSpec&);
template Solution<double> solve_turboboa(View<const double>, const InputSide<double>&,
                                         const OutputSide<double>*, const QuantSpec&);

}  // namespace constrictor::quant
