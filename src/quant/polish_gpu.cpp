// SPDX-License-Identifier: Apache-2.0
#include "quant/polish_gpu.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/permute.hpp"
#include "kernels/polish_panel.hpp"
#include "linalg/gemm_gpu.hpp"
#include "quant/row_blocks_gpu.hpp"

namespace constrictor::quant {
namespace {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

/// H_out of every head in the order of its rows.
struct OrderedSides {
  Matrix<float> share;        // [heads d x d] H_out[i,j] / H_out[i,i]
  std::vector<float> weight;  // [d heads] H_out[i,i], position after position
};

OrderedSides ordered(const std::vector<const OutputSide<float>*>& sides) {
  const Index d = sides.front()->H.rows(), count = static_cast<Index>(sides.size());
  OrderedSides out{Matrix<float>::uninitialized(count * d, d),
                   std::vector<float>(static_cast<std::size_t>(count * d))};
  for (Index h = 0; h < count; ++h) {
    const OutputSide<float>& side = *sides[static_cast<std::size_t>(h)];
    const auto row = [&](Index p) {
      return side.order.empty() ? p : Index{side.order[static_cast<std::size_t>(p)]};
    };
    for (Index p = 0; p < d; ++p) {
      const float weight = side.H(row(p), row(p));
      out.weight[static_cast<std::size_t>(p * count + h)] = weight;
      for (Index q = 0; q < d; ++q) out.share(h * d + p, q) = side.H(row(p), row(q)) / weight;
    }
  }
  return out;
}

/// What a pass works on; rows of heads lie position after position.
struct Rows {
  DeviceView<float> R;  // [rows x in]
  kernels::RowGrids grids;
  DeviceView<std::uint8_t> codes;
  DeviceView<float> push;  // [rows x in] weight dQ

  Rows block(Index first, Index n) const {
    return {
        R.rows_from(first, n),
        {grids.scale.rows_from(first, n), grids.zero.rows_from(first, n), grids.size, grids.top},
        codes.rows_from(first, n),
        push.rows_from(first, n)};
  }
};

/// All columns of rows that do not see each other.
void polish_rows(const device::Context& gpu, DeviceView<const float> H, const float* weight,
                 const Rows& rows) {
  const Index in = H.cols;
  for (Index first = 0; first < in; first += kernels::sweep_panel) {
    const Index width = std::min(in - first, kernels::sweep_panel), last = first + width;
    const auto push = rows.push.cols_from(first, width);
    kernels::polish_panel(gpu.main(), rows.R.cols_from(first, width),
                          H.block(first, first, width, width), weight, rows.grids, first,
                          rows.codes.cols_from(first, width), push);
    if (last < in)
      gemm<float, float>(gpu, Transpose::no, Transpose::no, -1, read_only(push),
                         H.block(first, last, width, in - last), 1,
                         rows.R.cols_from(last, in - last));
  }
}

/// Heads of d rows, one position of all heads after the other.
void polish_heads(const device::Context& gpu, DeviceView<const float> H,
                  const std::vector<const OutputSide<float>*>& sides, const Rows& rows) {
  const Index count = static_cast<Index>(sides.size()), d = rows.R.rows / count, in = H.cols;
  const auto host = ordered(sides);
  const auto share = device::uploaded<float>(gpu, host.share.view(), "shares of output sides");
  const auto weight = device::uploaded(gpu, host.weight, "weights of rows");
  DeviceMatrix<float> moved(gpu, count, in, "changes of rows times H_in");
  for (Index p = 0; p < d; ++p) {
    const Rows at = rows.block(p * count, count);
    polish_rows(gpu, H, weight.data() + p * count, at);
    const Index rest = d - p - 1;
    if (rest == 0) break;
    gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, read_only(at.push), H, 0,
                       moved.view());
    const auto later = rows.R.rows_from((p + 1) * count, rest * count);
    linalg::gemm_batched<float, float>(gpu, Transpose::yes, Transpose::no, -1,
                                       share.view().block(p, p + 1, 1, rest),
                                       read_only(moved.view()).rows_from(0, 1), 1,
                                       first_head(later, count), {count, d * d, in, in});
  }
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.);
}

}  // namespace

Refinement polish(const device::Context& gpu, const DeviceObjective& objective,
                  const std::vector<const OutputSide<float>*>& sides, const DeviceGrid& grid,
                  DeviceView<std::uint8_t> codes) {
  Refinement result;
  if (codes.size() == 0) return result;
  const Index rows = codes.rows, in = codes.cols;
  DeviceMatrix<float> Q(gpu, rows, in, "dequantized weights"), QH;
  const auto losses = [&] {
    kernels::dequantize(gpu.main(), read_only(codes), grid.rows(), Q.view());
    QH = objective.input_product(read_only(Q.view()));
    return objective.row_losses(read_only(Q.view()), read_only(QH.view()));
  };
  const auto before = losses();
  result.loss_before = sum(before);
  auto R = objective.residual(read_only(QH.view()));  // kept current by the pass
  const auto old_codes = device::copied<std::uint8_t>(gpu, read_only(codes), "codes before polish");

  auto& push = Q;  // done with
  if (sides.empty()) {
    polish_rows(gpu, objective.H_in(), nullptr, {R.view(), grid.rows(), codes, push.view()});
  } else {
    const Index count = static_cast<Index>(sides.size());
    const auto order =
        device::uploaded(gpu, rows_by_position(sides, rows / count), "rows by position");
    const kernels::Positions positions{order.data(), nullptr};
    DeviceMatrix<float> work(gpu, rows, in, "residuals by position"),
        scale(gpu, rows, grid.groups(), "scales by position"),
        zero(gpu, rows, grid.groups(), "zero points by position");
    DeviceMatrix<std::uint8_t> work_codes(gpu, rows, in, "codes by position");
    kernels::gather<float>(gpu.main(), read_only(R.view()), positions, work.view());
    kernels::gather<float>(gpu.main(), grid.scale.view(), positions, scale.view());
    kernels::gather<float>(gpu.main(), grid.zero.view(), positions, zero.view());
    kernels::gather<std::uint8_t>(gpu.main(), read_only(codes), positions, work_codes.view());
    polish_heads(gpu, objective.H_in(), sides,
                 {work.view(),
                  {read_only(scale.view()), read_only(zero.view()), grid.group_size, grid.top},
                  work_codes.view(),
                  push.view()});
    kernels::scatter<std::uint8_t>(gpu.main(), read_only(work_codes.view()), positions, codes);
  }
  result.row_loss = losses();
  restore_where_worse<std::uint8_t>(gpu, sides.empty() ? 1 : objective.heads().size,
                                    old_codes.view(), before, result.row_loss, codes);
  result.loss_after = sum(result.row_loss);
  return result;
}

}  // namespace constrictor::quant
