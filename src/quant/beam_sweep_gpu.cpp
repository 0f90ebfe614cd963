// SPDX-License-Identifier: Apache-2.0
#include "quant/beam_sweep_gpu.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/beam_sweep.hpp"
#include "linalg/gemm_gpu.hpp"
#include "quant/beam_sweep.hpp"

namespace constrictor::quant {
namespace {

using device::DeviceMatrix;
using kernels::sweep_panel;
using linalg::Transpose;

/// Some rows with all their prefixes; quant/beam_sweep.cpp has the same on the host.
void sweep_batch(const device::Context& gpu, DeviceView<const float> W, DeviceView<const float> U,
                 const kernels::RowGrids& grids, const std::int32_t* group, Index kept,
                 DeviceView<std::uint8_t> codes) {
  const auto& stream = gpu.main();
  const Index rows = W.rows, in = W.cols, panels = pieces(in, sweep_panel),
              after = kernels::prefixes_after(std::min(in, sweep_panel), kept);
  DeviceMatrix<float> weights[2],
      errors(gpu, rows * after, std::min(in, sweep_panel), "errors of a panel"),
      cost(gpu, rows, after, "costs of prefixes");
  DeviceMatrix<std::uint8_t> swept(gpu, rows * after, in, "codes of prefixes"),
      roots(gpu, panels * rows, after, "ancestors of prefixes");
  if (panels > 1)
    for (auto& w : weights) w = {gpu, rows * after, in, "weights of prefixes"};
  device::set_zero(cost.view(), stream);
  DeviceView<const float> now = W;
  Index before = 1;
  for (Index number = 0; number < panels; ++number) {
    const Piece panel = piece(in, sweep_panel, number);
    const Index width = panel.size(), rest = in - panel.last;
    const auto error = errors.view().cols_from(0, width);
    const auto root = roots.view().rows_from(number * rows, rows);
    kernels::beam_sweep(stream, now.cols_from(panel.first, width), before,
                        U.block(panel.first, panel.first, width, width),
                        {grids.scale, grids.zero, group + panel.first, grids.top}, kept,
                        {cost.view(), error, swept.view().cols_from(panel.first, width), root});
    if (rest == 0) break;
    const auto later = weights[number % 2].view().cols_from(panel.last, rest);
    kernels::take_survivors(stream, now.cols_from(panel.last, rest), before, read_only(root),
                            later);
    linalg::gemm<float, float>(gpu, Transpose::no, Transpose::no, -1, read_only(error),
                               U.block(panel.first, panel.last, width, rest), 1, later);
    now = read_only(weights[number % 2].view());
    before = after;
  }
  kernels::cheapest_codes(stream, read_only(swept.view()), read_only(roots.view()), codes);
}

}  // namespace

void beam_sweep(const device::Context& gpu, DeviceView<const float> W, DeviceView<const float> U,
                const kernels::RowGrids& grids, const std::int32_t* group, Index kept,
                DeviceView<std::uint8_t> codes) {
  CONSTRICTOR_REQUIRE(kept >= 1 && kept <= kernels::most_prefixes, kept);
  if (W.size() == 0) return;
  const Index height = std::max<Index>(1, device_beam_batch / kept);
  for (Index t = 0; t < pieces(W.rows, height); ++t) {
    const Piece rows = piece(W.rows, height, t);
    const auto of_rows = [&](auto all) { return all.rows_from(rows.first, rows.size()); };
    sweep_batch(gpu, of_rows(W), U,
                {of_rows(grids.scale), of_rows(grids.zero), grids.size, grids.top}, group, kept,
                of_rows(codes));
  }
}

}  // namespace constrictor::quant
