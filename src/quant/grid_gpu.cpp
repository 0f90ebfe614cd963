// SPDX-License-Identifier: Apache-2.0
#include "quant/grid_gpu.hpp"

#include "kernels/grid_ranges.hpp"
#include "linalg/factor_gpu.hpp"

namespace constrictor::quant {
namespace {

using device::DeviceMatrix;

/// Up to here all candidates are scored with H itself: n products of n columns are cheap, and many
/// small roots are not.
constexpr Index no_root_needed = 256;

kernels::ZeroPoints zero_points(const GridSettings& settings) {
  if (settings.symmetric) return kernels::ZeroPoints::middle;
  return settings.search == GridSearch::minmax ? kernels::ZeroPoints::nearest
                                               : kernels::ZeroPoints::two;
}

}  // namespace

Grid<float> downloaded(const device::Context& gpu, const DeviceGrid& grid, int bits) {
  Grid<float> host(grid.scale.rows(), grid.groups() * grid.group_size, bits, grid.group_size);
  host.scale = device::downloaded<float>(gpu, grid.scale.view());
  host.zero = device::downloaded<float>(gpu, grid.zero.view());
  return host;
}

GridFitter::GridFitter(const device::Context& gpu, const DeviceInputSide& side,
                       const GridSettings& settings)
    : gpu_(&gpu), settings_(settings) {
  const Index in = side.H.cols();
  size_ = settings.group_size > 0 ? settings.group_size : in;
  CONSTRICTOR_REQUIRE(size_ > 0 && in % size_ == 0, in, size_);
  if (settings.search != GridSearch::hessian) return;
  for (Index g = 0; g < in / size_; ++g) {
    const auto H = side.H.view().block(g * size_, g * size_, size_, size_);
    DeviceView<const float> R;
    std::span<const std::int32_t> order;
    if (size_ == in && !side.R.empty()) {
      R = side.R.view();
      order = side.order;
    } else if (size_ > no_root_needed) {
      DeviceMatrix<float> own(gpu, size_, size_, "root of a group's block of H");
      if (linalg::upper_root<float>(gpu, H, own.view())) {
        roots_.push_back(std::move(own));
        R = read_only(roots_.back().view());
      }
    }
    searches_.emplace_back(gpu, H, R, order, search_plan(size_));
  }
}

void GridFitter::fit(DeviceView<const float> W, DeviceView<float> scale,
                     DeviceView<float> zero) const {
  const Index groups = W.cols / size_;
  const float top = static_cast<float>((1 << settings_.bits) - 1);
  CONSTRICTOR_REQUIRE(W.cols % size_ == 0 && scale.rows == W.rows && scale.cols == groups, W.cols,
                      size_, scale.rows, scale.cols);
  DeviceMatrix<kernels::GridRange> ranges(*gpu_, W.rows, groups, "ranges of weights");
  kernels::grid_ranges(gpu_->main(), W, size_, zero_points(settings_), top, ranges.view());
  const auto fixed = read_only(ranges.view());
  switch (settings_.search) {
    case GridSearch::minmax:
      return kernels::grids_of_ranges(gpu_->main(), fixed, top, scale, zero);
    case GridSearch::mse:
      return kernels::search_mse(gpu_->main(), W, size_, fixed, top, scale, zero);
    case GridSearch::hessian:
      for (Index g = 0; g < groups; ++g)
        searches_[static_cast<std::size_t>(g)].fit(
            W.cols_from(g * size_, size_), fixed.cols_from(g, 1), settings_.symmetric ? 1 : 2, top,
            scale.cols_from(g, 1), zero.cols_from(g, 1));
  }
}

}  // namespace constrictor::quant
