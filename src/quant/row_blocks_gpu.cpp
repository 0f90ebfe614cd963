// SPDX-License-Identifier: Apache-2.0
#include "quant/row_blocks_gpu.hpp"

#include <algorithm>

#include "kernels/permute.hpp"
#include "kernels/quantized_rows.hpp"
#include "linalg/gemm_gpu.hpp"
#include "quant/sweep_gpu.hpp"

namespace constrictor::quant {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

std::vector<std::int32_t> rows_by_position(const std::vector<const OutputSide<float>*>& heads,
                                           Index d) {
  std::vector<std::int32_t> rows;
  for (Index p = 0; p < d; ++p)
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const auto& order = heads[h]->order;
      rows.push_back(
          static_cast<std::int32_t>(static_cast<Index>(h) * d) +
          (order.empty() ? static_cast<std::int32_t>(p) : order[static_cast<std::size_t>(p)]));
    }
  return rows;
}

Matrix<float> spreading_factors(const std::vector<const OutputSide<float>*>& heads, Index block) {
  const Index d = heads.front()->U.rows();
  Matrix<float> factors(static_cast<Index>(heads.size()) * d, d);
  std::vector<double> column(static_cast<std::size_t>(d));
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const auto U = heads[h]->U.view();
    const auto V = factors.view().rows_from(static_cast<Index>(h) * d, d);
    for (Index first = 0; first < d; first += block) {
      const Index last = std::min(d, first + block);
      for (Index c = last; c < d; ++c)
        for (Index r = last - 1; r >= first; --r) {  // back substitution
          double sum = static_cast<double>(U(r, c));
          for (Index k = r + 1; k < last; ++k)
            sum -= static_cast<double>(U(r, k)) * column[static_cast<std::size_t>(k)];
          column[static_cast<std::size_t>(r)] = sum / static_cast<double>(U(r, r));
          V(r, c) = static_cast<float>(column[static_cast<std::size_t>(r)]);
        }
    }
  }
  return factors;
}

BlockwiseResult solve_row_blocks(const device::Context& gpu, DeviceView<const float> target,
                                 const DeviceProblem& problem) {
  const auto& spec = *problem.spec;
  const auto& input = *problem.input;
  const auto& heads = problem.heads;
  const Index count = static_cast<Index>(heads.size()), rows = target.rows, d = rows / count,
              in = target.cols, group_size = spec.group_size > 0 ? spec.group_size : in;
  const auto factors = device::uploaded<float>(
      gpu, spreading_factors(heads, spec.rows_at_once).view(), "factors of row blocks");
  const auto order = device::uploaded(gpu, rows_by_position(heads, d), "rows by position");
  const kernels::Positions positions{order.data(), nullptr};

  DeviceMatrix<float> work(gpu, rows, in, "weights of row blocks");
  kernels::gather<float>(gpu.main(), target, positions, work.view());
  DeviceMatrix<std::uint8_t> codes(gpu, rows, in, "codes of row blocks");
  DeviceGrid grid(gpu, rows, in, spec.bits, group_size);
  const GridFitter fitter(gpu, input, grid_settings(spec));
  const ColumnSweep sweep(gpu, input, group_size, spec.beam);
  if (!spec.adaptive_grid) fitter.fit(read_only(work.view()), grid.scale.view(), grid.zero.view());

  for (Index first = 0; first < d; first += spec.rows_at_once) {
    const Index n = std::min(spec.rows_at_once, d - first), last = first + n, rest = d - last;
    const auto of_block = [&](auto all) { return all.rows_from(first * count, n * count); };
    const auto B = of_block(work.view());
    const auto scale = of_block(grid.scale.view()), zero = of_block(grid.zero.view());
    if (spec.adaptive_grid) fitter.fit(read_only(B), scale, zero);
    const kernels::RowGrids grids{read_only(scale), read_only(zero), group_size, grid.top};
    const auto block_codes = of_block(codes.view());
    sweep.run(read_only(B), grids, block_codes);
    if (rest == 0) continue;

    // W[R] -= U_out'[R,B] (U_out'[B,B])^-1 (W[B] - Q[B] + W[B] shift)
    DeviceMatrix<float> Q(gpu, n * count, in, "dequantized rows of a block"),
        error(gpu, n * count, in, "errors of a block");
    kernels::dequantize(gpu.main(), read_only(block_codes), grids, Q.view());
    kernels::subtract(gpu.main(), read_only(B), read_only(Q.view()), error.view());
    if (spec.drift == Drift::sequential && !input.shift.empty())
      gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, read_only(B), input.shift.view(), 1,
                         error.view());
    const auto later = work.view().rows_from(last * count, rest * count);
    linalg::gemm_batched<float, float>(gpu, Transpose::yes, Transpose::no, -1,
                                       factors.view().block(first, last, n, rest),
                                       first_head(read_only(error.view()), count), 1,
                                       first_head(later, count), {count, d * d, in, in});
  }

  BlockwiseResult result{DeviceMatrix<std::uint8_t>(gpu, rows, in, "codes"),
                         DeviceGrid(gpu, rows, in, spec.bits, group_size)};
  kernels::scatter<std::uint8_t>(gpu.main(), read_only(codes.view()), positions,
                                 result.codes.view());
  kernels::scatter<float>(gpu.main(), read_only(grid.scale.view()), positions,
                          result.grid.scale.view());
  kernels::scatter<float>(gpu.main(), read_only(grid.zero.view()), positions,
                          result.grid.zero.view());
  return result;
}

}  // namespace constrictor::quant
