// SPDX-License-Identifier: Apache-2.0
#include "quant/refine_gpu.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/refine_scales.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::quant {
namespace {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

/// Products of a row's groups that are on the device together: 512 MiB.
constexpr Index most_products = Index{1} << 27;

/// A_i[g,k] = Z[i,g] H_in[g,k] Z[i,k]' of some rows, [rows x groups groups].
DeviceMatrix<float> group_products(const device::Context& gpu, const DeviceObjective& objective,
                                   DeviceView<const float> Z, Index groups) {
  const Index size = Z.cols / groups;
  DeviceMatrix<float> products(gpu, Z.rows, groups * groups, "products of groups"),
      Y(gpu, Z.rows, Z.cols, "codes of a group times H_in");
  for (Index g = 0; g < groups; ++g) {
    gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, Z.cols_from(g * size, size),
                       objective.H_in().rows_from(g * size, size), 0, Y.view());
    kernels::group_dots(gpu.main(), read_only(Y.view()), Z, size,
                        products.view().cols_from(g * groups, groups));
  }
  return products;
}

kernels::Passes limit_of(const RefineSettings& settings) {
  return {settings.passes, static_cast<float>(settings.gain)};
}

void descend_one_sided(const device::Context& gpu, const DeviceObjective& objective,
                       DeviceView<const float> Z, DeviceView<const float> ZH,
                       const RefineSettings& settings, DeviceView<float> slope,
                       DeviceView<float> scale) {
  const Index groups = scale.cols;
  const kernels::Passes limit = limit_of(settings);
  if (groups == 1) {
    DeviceMatrix<float> products(gpu, Z.rows, 1, "products of rows");
    kernels::group_dots(gpu.main(), ZH, Z, Z.cols, products.view());
    kernels::descend_rows(gpu.main(), products.view(), limit, slope, scale);
    return;
  }
  const Index batch = std::max<Index>(1, most_products / (groups * groups));
  for (Index first = 0; first < Z.rows; first += batch) {
    const Index rows = std::min(batch, Z.rows - first);
    const auto products = group_products(gpu, objective, Z.rows_from(first, rows), groups);
    kernels::descend_rows(gpu.main(), products.view(), limit, slope.rows_from(first, rows),
                          scale.rows_from(first, rows));
  }
}

void descend_two_sided(const device::Context& gpu, const DeviceObjective& objective,
                       DeviceView<const float> Z, DeviceView<const float> ZH,
                       const RefineSettings& settings, DeviceView<float> slope,
                       DeviceView<float> scale) {
  const DeviceHeads& side = objective.heads();
  const kernels::Passes limit = limit_of(settings);
  const kernels::HeadRows heads{side.H.view(), side.order.view()};
  const Index d = side.size, in = Z.cols, groups = scale.cols;
  if (groups == 1) {
    DeviceMatrix<float> products(gpu, Z.rows, d, "products of the rows of heads");
    linalg::gemm_batched<float, float>(gpu, Transpose::no, Transpose::yes, 1, ZH.rows_from(0, d),
                                       Z.rows_from(0, d), 0, products.view().rows_from(0, d),
                                       {side.count, d * in, d * in, d * d});
    kernels::descend_heads(gpu.main(), read_only(products.view()), heads, limit, slope, scale);
    return;
  }
  const auto products = group_products(gpu, objective, Z, groups);
  DeviceMatrix<float> change(gpu, side.count, in, "changes of rows"),
      moved(gpu, side.count, in, "changes of rows times H_in");
  DeviceMatrix<float> progress(gpu, side.count, 3, "gains of heads");
  for (Index step = 0; step < limit.most * d; ++step) {
    const Index position = step % d;
    kernels::descend_position(gpu.main(), products.view(), heads, {position, step / d, limit.gain},
                              Z, slope, scale, progress.view(), change.view());
    gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, read_only(change.view()),
                       objective.H_in(), 0, moved.view());
    kernels::spread_position(gpu.main(), heads, position, read_only(moved.view()), Z, slope);
  }
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.);
}

}  // namespace

Refinement refine_scales(const device::Context& gpu, const DeviceObjective& objective,
                         DeviceView<const std::uint8_t> codes, const RefineSettings& settings,
                         DeviceGrid& grid) {
  Refinement result;
  if (codes.size() == 0) return result;
  const Index groups = grid.groups(), rows = codes.rows;
  DeviceMatrix<float> Z(gpu, rows, codes.cols, "shifted codes"),
      Q(gpu, rows, codes.cols, "dequantized weights"), ZH, QH;
  kernels::shift_codes(gpu.main(), codes, grid.rows(), Z.view());
  const auto z = read_only(Z.view());
  if (groups == 1) ZH = objective.input_product(z);
  const auto losses = [&] {
    kernels::dequantize(gpu.main(), codes, grid.rows(), Q.view());
    if (groups == 1) {  // Q H_in = s (Z H_in)
      QH = device::copied<float>(gpu, ZH.view(), "dequantized weights times H_in");
      kernels::scale_groups(gpu.main(), grid.scale.view(), grid.group_size, QH.view());
    } else {
      QH = objective.input_product(read_only(Q.view()));
    }
    return objective.row_losses(read_only(Q.view()), read_only(QH.view()));
  };
  const auto before = losses();
  result.row_loss = before;
  result.loss_before = result.loss_after = sum(before);
  if (settings.passes == 0) return result;

  DeviceMatrix<float> slope(gpu, rows, groups, "slopes of scales");
  kernels::group_dots(gpu.main(), objective.residual(read_only(QH.view())).view(), z,
                      grid.group_size, slope.view());
  const auto old_scale = device::copied<float>(gpu, grid.scale.view(), "scales before refinement");
  const bool two_sided = objective.heads().count > 0;
  if (two_sided)
    descend_two_sided(gpu, objective, z, ZH.view(), settings, slope.view(), grid.scale.view());
  else
    descend_one_sided(gpu, objective, z, ZH.view(), settings, slope.view(), grid.scale.view());
  result.row_loss = losses();
  restore_where_worse<float>(gpu, two_sided ? objective.heads().size : 1, old_scale.view(), before,
                             result.row_loss, grid.scale.view());
  result.loss_after = sum(result.row_loss);
  return result;
}

}  // namespace constrictor::quant
