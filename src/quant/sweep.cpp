// SPDX-License-Identifier: Apache-2.0
#include "quant/sweep.hpp"

#include <algorithm>

#include "kernels/column_sweep.hpp"
#include "linalg/gemm.hpp"
#include "quant/beam_sweep.hpp"

namespace constrictor::quant {

using linalg::gemm;
using linalg::Transpose;

namespace {

/// The single sweep of rows that stand in sweep order; W is used up.
template <class T>
Matrix<std::uint8_t> single_sweep(View<T> work, const InputSide<T>& side, const Grid<T>& grid,
                                  const std::vector<std::int32_t>& group) {
  const Index rows = work.rows, in = work.cols;
  const auto U = side.U.view(), P = side.P.view();
  const bool drift = !side.P.empty();
  auto swept = Matrix<std::uint8_t>::uninitialized(rows, in);
  auto errors = Matrix<T>::uninitialized(rows, std::min(in, kernels::sweep_panel));
  for (Index first = 0; first < in; first += kernels::sweep_panel) {
    const Index last = std::min(in, first + kernels::sweep_panel), width = last - first,
                rest = in - last;
    const auto panel = work.cols_from(first, width);
    const auto error = errors.view().cols_from(0, width);
    const auto corner = [&](View<const T> M) {
      return M.rows > 0 ? M.block(first, first, width, width) : M;
    };
    const auto right = [&](View<const T> M) { return M.block(first, last, width, rest); };
    kernels::column_sweep<T>(panel, corner(U), corner(P),
                             {grid.scale.view(), grid.zero.view(), group.data() + first, grid.top},
                             error, swept.view().cols_from(first, width));
    if (rest == 0) continue;
    const auto later = work.cols_from(last, rest);
    gemm<T>(Transpose::no, Transpose::no, T(-1), error, right(U), T(1), later);  // W -= E U
    if (drift)
      gemm<T>(Transpose::no, Transpose::no, T(1), panel, right(P), T(1), later);  // W += W_c P
  }
  return swept;
}

}  // namespace

template <class T>
Matrix<std::uint8_t> sweep(View<const T> W, const InputSide<T>& side, const Grid<T>& grid,
                           Index beam, Matrix<T>* compensated) {
  const Index rows = W.rows, in = W.cols;
  CONSTRICTOR_REQUIRE(side.U.rows() == in && grid.scale.rows() == rows, side.U.rows(), in,
                      grid.scale.rows(), rows);
  CONSTRICTOR_REQUIRE(beam == 1 || (side.P.empty() && compensated == nullptr), beam);
  const auto column = [&](Index c) {
    return side.order.empty() ? c : Index{side.order[static_cast<std::size_t>(c)]};
  };

  auto work = Matrix<T>::uninitialized(rows, in);  // sweep order
  std::vector<std::int32_t> group(static_cast<std::size_t>(in));
  for (Index c = 0; c < in; ++c)
    group[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(column(c) / grid.group_size);
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < in; ++c) work(r, c) = W(r, column(c));

  auto swept = beam == 1 ? single_sweep<T>(work.view(), side, grid, group)
                         : beam_sweep<T>(read_only(work.view()), side.U.view(), grid, group, beam);
  if (compensated != nullptr) {
    *compensated = Matrix<T>::uninitialized(rows, in);
    for (Index r = 0; r < rows; ++r)
      for (Index c = 0; c < in; ++c) (*compensated)(r, column(c)) = work(r, c);
  }
  if (side.order.empty()) return swept;
  auto codes = Matrix<std::uint8_t>::uninitialized(rows, in);
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < in; ++c) codes(r, column(c)) = swept(r, c);
  return codes;
}

template Matrix<std::uint8_t> sweep(View<const float>, const InputSide<float>&, const Grid<float>&,
                                    Index, Matrix<float>*);
template Matrix<std::uint8_t> sweep(View<const double>, const InputSide<double>&,
                                    const Grid<double>&, Index, Matrix<double>*);

}  // namespace constrictor::quant
