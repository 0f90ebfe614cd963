// SPDX-License-Identifier: Apache-2.0
#pragma once
// BoA and TurboBoA on the device (turboboa.cpp has the steps): rows of one position of all heads
// lie together, so that a block of N rows of every head is one piece of memory, one grid fit, one
// sweep.
#include "quant/grid_gpu.hpp"
#include "quant/solvers_gpu.hpp"

namespace constrictor::quant {

/// Codes and grids of whole heads.
struct BlockwiseResult {
  device::DeviceMatrix<std::uint8_t> codes;  // [rows x in], original order
  DeviceGrid grid;
};

/// target [rows x in]: heads of one size, one below the other, original order.
BlockwiseResult solve_row_blocks(const device::Context& gpu, DeviceView<const float> target,
                                 const DeviceProblem& problem);

/// Head by head V = U with every diagonal block of N rows divided out, V[B, R] = U[B, B]^-1 U[B, R]
/// for blocks B and later rows R, zeros elsewhere; [heads d x d]. What row blocks are spread with.
Matrix<float> spreading_factors(const std::vector<const OutputSide<float>*>& heads, Index block);

/// Row of the layer of every row in work order: position 0 of all heads, position 1 of all, ...
std::vector<std::int32_t> rows_by_position(const std::vector<const OutputSide<float>*>& heads,
                                           Index d);

/// Row p of the view is position p of head 0; the other heads follow a row of memory further each.
template <class T>
DeviceView<T> first_head(DeviceView<T> M, Index heads) {
  return {M.data, M.rows / heads, M.cols, M.stride * heads};
}

}  // namespace constrictor::quant
