// SPDX-License-Identifier: Apache-2.0
#include "quant/sweep_gpu.hpp"

#include <algorithm>

#include "kernels/column_sweep.hpp"
#include "kernels/permute.hpp"
#include "linalg/gemm_gpu.hpp"
#include "quant/beam_sweep_gpu.hpp"

namespace constrictor::quant {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

ColumnSweep::ColumnSweep(const device::Context& gpu, const DeviceInputSide& side, Index group_size,
                         Index beam)
    : gpu_(&gpu), side_(&side), beam_(beam) {
  CONSTRICTOR_REQUIRE(beam == 1 || side.P.empty(), beam);
  const Index in = side.U.rows();
  std::vector<std::int32_t> group(static_cast<std::size_t>(in));
  for (Index c = 0; c < in; ++c) {
    const Index column = side.order.empty() ? c : Index{side.order[static_cast<std::size_t>(c)]};
    group[static_cast<std::size_t>(c)] = static_cast<std::int32_t>(column / group_size);
  }
  group_ = device::uploaded(gpu, group, "groups of columns");
  if (!side.order.empty()) order_ = device::uploaded(gpu, side.order, "order of columns");
}

void ColumnSweep::run(DeviceView<const float> W, const kernels::RowGrids& grids,
                      DeviceView<std::uint8_t> codes) const {
  const Index rows = W.rows, in = W.cols;
  CONSTRICTOR_REQUIRE(side_->U.rows() == in && grids.scale.rows == rows, side_->U.rows(), in,
                      grids.scale.rows, rows);
  const device::Stream& main = gpu_->main();
  const kernels::Positions positions{nullptr, order_.data()};
  DeviceMatrix<float> work(*gpu_, rows, in, "weights of a sweep");
  DeviceMatrix<std::uint8_t> swept(*gpu_, rows, in, "codes of a sweep");
  kernels::gather<float>(main, W, positions, work.view());
  if (beam_ == 1)
    run_single(work.view(), grids, swept.view());
  else
    beam_sweep(*gpu_, read_only(work.view()), side_->U.view(), grids, group_.data(), beam_,
               swept.view());
  kernels::scatter<std::uint8_t>(main, read_only(swept.view()), positions, codes);
}

void ColumnSweep::run_single(DeviceView<float> work, const kernels::RowGrids& grids,
                             DeviceView<std::uint8_t> swept) const {
  const Index rows = work.rows, in = work.cols;
  const device::Stream &main = gpu_->main(), &side = gpu_->side();
  DeviceMatrix<float> errors[2];
  for (auto& e : errors) e = {*gpu_, rows, std::min(in, kernels::sweep_panel), "errors of a panel"};

  const auto U = side_->U.view(), P = side_->P.view();
  for (Index first = 0, number = 0; first < in; first += kernels::sweep_panel, ++number) {
    const Index last = std::min(in, first + kernels::sweep_panel), width = last - first,
                next = std::min(in - last, kernels::sweep_panel);
    const auto panel = work.cols_from(first, width);
    const auto error = errors[number % 2].view().cols_from(0, width);
    const auto corner = [&](DeviceView<const float> M) {
      return M.rows > 0 ? M.block(first, first, width, width) : M;
    };
    kernels::column_sweep(main, panel, corner(U), corner(P),
                          {grids.scale, grids.zero, group_.data() + first, grids.top}, error,
                          swept.cols_from(first, width));
    if (next == 0) break;
    // W -= E U - W_c P behind the panel: the columns of the next panel first, on main; those behind
    // it on side, while the next panel is swept. They were last written there, a panel ago.
    const auto update = [&](const device::Stream& stream, Index from, Index count) {
      const auto later = work.cols_from(from, count);
      gemm<float, float>(*gpu_, stream, Transpose::no, Transpose::no, -1, read_only(error),
                         U.block(first, from, width, count), 1, later);
      if (P.rows > 0)
        gemm<float, float>(*gpu_, stream, Transpose::no, Transpose::no, 1, read_only(panel),
                           P.block(first, from, width, count), 1, later);
    };
    main.wait_for(side);
    side.wait_for(main);
    update(main, last, next);
    if (last + next < in) update(side, last + next, in - last - next);
  }
  main.wait_for(side);
}

}  // namespace constrictor::quant
