// SPDX-License-Identifier: Apache-2.0
#include "quant/refine.hpp"

#include <algorithm>

#include "quant/refine_steps.hpp"

namespace constrictor::quant {

template <class T>
Matrix<T> slopes_of(const Fit<T>& fit) {
  const Index size = fit.grid.group_size;
  Matrix<T> slope(fit.codes.rows(), fit.grid.groups());
  for (Index r = 0; r < slope.rows(); ++r)
    for (Index g = 0; g < slope.cols(); ++g)
      slope(r, g) = dot(fit.R.row(r) + g * size, fit.Z.row(r) + g * size, size);
  return slope;
}

template <class T>
std::vector<double> refine_scales(Fit<T>& fit, const RefineSettings& settings) {
  if (fit.codes.size() == 0 || settings.passes == 0) return {};
  fit.need_residual();
  const double start = fit.loss;
  std::vector<double> gains;
  if (!fit.two_sided() && fit.grid.groups() > 1) {
    std::vector<double> row_gain;
    gains = refine_rows(fit, settings, row_gain);
    for (std::size_t r = 0; r < row_gain.size(); ++r) fit.row_loss[r] -= row_gain[r];
    fit.loss = 0;
    for (const double row : fit.row_loss) fit.loss += row;
    fit.stale = true;  // a product Q H_in less, where nobody asks for R again
  } else {
    const Fit<T> before = fit;
    std::vector<double> row_gain;
    gains = fit.two_sided() ? refine_head(fit, settings) : refine_rows(fit, settings, row_gain);
    fit.scales_changed();
    take_back_rises(before, fit);
  }
  std::vector<double> losses;
  double loss = start;
  for (const double gain : gains) losses.push_back(loss = std::max(loss - gain, fit.loss));
  losses.back() = fit.loss;
  return losses;
}

template <class T>
Refinement refine_scales(const Objective<T>& objective, View<const std::uint8_t> codes,
                         Index passes, const std::vector<std::int32_t>& row_order, Grid<T>& grid) {
  Refinement result;
  if (codes.size() == 0) return result;
  Fit<T> fit(objective, row_order, Matrix<std::uint8_t>(codes), std::move(grid));
  result.loss_before = fit.loss;
  refine_scales(fit, {.passes = passes});
  grid = std::move(fit.grid);
  result.loss_after = fit.loss;
  result.row_loss = std::move(fit.row_loss);
  return result;
}

#define CONSTRICTOR_INSTANTIATE(T)                                                        \
  template Matrix<T> slopes_of(const Fit<T>&);                                            \
  template std::vector<double> refine_scales(Fit<T>&, const RefineSettings&);             \
  template Refinement refine_scales(const Objective<T>&, View<const std::uint8_t>, Index, \
                                    const std::vector<std::int32_t>&, Grid<T>&);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(double)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::quant
