// SPDX-License-Identifier: Apache-2.0
#include "quant/beam_sweep.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/beam_sweep.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::quant {
namespace {

using kernels::sweep_panel;
using linalg::gemm;
using linalg::Transpose;

/// Some rows with all their prefixes. `after` is the same for all panels: only the first one has
/// fewer prefixes in than out, and one that cannot fill the beam is the only one.
template <class T>
class Batch {
 public:
  Batch(Index most_rows, Index in, Index kept)
      : kept_(kept), after_(kernels::prefixes_after(std::min(in, sweep_panel), kept)) {
    const Index prefixes = most_rows * after_;
    for (auto& w : weights_)
      if (in > sweep_panel) w = Matrix<T>::uninitialized(prefixes, in);
    errors_ = Matrix<T>::uninitialized(prefixes, std::min(in, sweep_panel));
    codes_ = Matrix<std::uint8_t>::uninitialized(prefixes, in);
    roots_ = Matrix<std::uint8_t>::uninitialized(pieces(in, sweep_panel) * most_rows, after_);
    cost_ = Matrix<T>(most_rows, after_);
  }

  void run(View<const T> W, View<const T> U, const kernels::PanelGrid<T>& grid,
           View<std::uint8_t> codes) {
    const Index in = W.cols, panels = pieces(in, sweep_panel);
    cost_.fill(T(0));
    View<const T> now = W;
    Index before = 1;
    for (Index number = 0; number < panels; ++number) {
      const Piece panel = piece(in, sweep_panel, number);
      const Index rest = in - panel.last;
      const auto error = errors_.view().block(0, 0, W.rows * after_, panel.size());
      const auto root = roots_of(number, W.rows);
      kernels::beam_sweep<T>(
          now.cols_from(panel.first, panel.size()), before,
          U.block(panel.first, panel.first, panel.size(), panel.size()),
          {grid.scale, grid.zero, grid.group + panel.first, grid.top}, kept_,
          {cost_.view().rows_from(0, W.rows), error,
           codes_.view().block(0, panel.first, W.rows * after_, panel.size()), root});
      if (rest == 0) break;
      const auto next = weights_[number % 2].view().rows_from(0, W.rows * after_);
      for (Index i = 0; i < next.rows; ++i) {
        const T* from = now.row(i / after_ * before + root(i / after_, i % after_));
        std::copy(from + panel.last, from + in, next.row(i) + panel.last);
      }
      gemm<T>(Transpose::no, Transpose::no, T(-1), read_only(error),
              U.block(panel.first, panel.last, panel.size(), rest), T(1),
              next.cols_from(panel.last, rest));
      now = next;
      before = after_;
    }
    for (Index r = 0; r < W.rows; ++r) {  // the cheapest prefix, back through the panels
      Index k = 0;
      for (Index number = panels - 1; number >= 0; --number) {
        const Piece panel = piece(in, sweep_panel, number);
        const std::uint8_t* from = codes_.row(r * after_ + k);
        std::copy(from + panel.first, from + panel.last, codes.row(r) + panel.first);
        k = roots_of(number, W.rows)(r, k);
      }
    }
  }

 private:
  View<std::uint8_t> roots_of(Index panel, Index rows) {
    return roots_.view().rows_from(panel * rows, rows);
  }

  Index kept_, after_;
  Matrix<T> weights_[2];        // [rows after x in] running weights of this panel and the next
  Matrix<T> errors_;            // [rows after x panel]
  Matrix<std::uint8_t> codes_;  // [rows after x in] as each panel left them
  Matrix<std::uint8_t> roots_;  // [panels rows x after]
  Matrix<T> cost_;              // [rows x after]
};

}  // namespace

template <class T>
Matrix<std::uint8_t> beam_sweep(View<const T> W, View<const T> U, const Grid<T>& grid,
                                const std::vector<std::int32_t>& group, Index kept) {
  CONSTRICTOR_REQUIRE(kept >= 1 && kept <= kernels::most_prefixes, kept);
  auto codes = Matrix<std::uint8_t>::uninitialized(W.rows, W.cols);
  const Index height = std::min(std::max<Index>(1, beam_batch / kept), W.rows);
  if (W.rows == 0 || W.cols == 0) return codes;
  Batch<T> batch(height, W.cols, kept);
  for (Index t = 0; t < pieces(W.rows, height); ++t) {
    const Piece rows = piece(W.rows, height, t);
    const auto of_rows = [&](View<const T> all) { return all.rows_from(rows.first, rows.size()); };
    batch.run(of_rows(W), U,
              {of_rows(grid.scale.view()), of_rows(grid.zero.view()), group.data(), grid.top},
              codes.view().rows_from(rows.first, rows.size()));
  }
  return codes;
}

template Matrix<std::uint8_t> beam_sweep(View<const float>, View<const float>, const Grid<float>&,
                                         const std::vector<std::int32_t>&, Index);
template Matrix<std::uint8_t> beam_sweep(View<const double>, View<const double>,
                                         const Grid<double>&, const std::vector<std::int32_t>&,
                                         Index);

}  // namespace constrictor::quant
