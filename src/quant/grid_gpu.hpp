// SPDX-License-Identifier: Apache-2.0
#pragma once
// quant/grid.hpp on the device.
#include "data/device_factored.hpp"
#include "kernels/quantized_rows.hpp"
#include "quant/grid.hpp"
#include "quant/hessian_search_gpu.hpp"

namespace constrictor::quant {

/// Grid<float> on the device.
struct DeviceGrid {
  device::DeviceMatrix<float> scale, zero;  // [rows x groups]
  Index group_size = 0;
  float top = 0;

  DeviceGrid(const device::Context& gpu, Index rows, Index cols, int bits, Index size)
      : scale(gpu, rows, cols / size, "scales"),
        zero(gpu, rows, cols / size, "zero points"),
        group_size(size),
        top(static_cast<float>((1 << bits) - 1)) {}
  Index groups() const { return scale.cols(); }
  kernels::RowGrids rows() const { return {scale.view(), zero.view(), group_size, top}; }
};
/// On the host; waits for the device.
Grid<float> downloaded(const device::Context& gpu, const DeviceGrid& grid, int bits);

/// Fits grids of rows that share an input side; what depends on the side only is prepared once.
class GridFitter {
 public:
  /// `side` must outlive the fitter.
  GridFitter(const device::Context& gpu, const DeviceInputSide& side, const GridSettings& settings);

  /// fit_grid of W [rows x in]: scale and zero [rows x groups].
  void fit(DeviceView<const float> W, DeviceView<float> scale, DeviceView<float> zero) const;

 private:
  const device::Context* gpu_;
  GridSettings settings_;
  Index size_;                                      // inputs in a group
  std::vector<device::DeviceMatrix<float>> roots_;  // of groups' blocks of H, where needed
  std::vector<HessianSearch> searches_;             // one a group, for `hessian`
};

}  // namespace constrictor::quant
