// SPDX-License-Identifier: Apache-2.0
#include "quant/loss_gpu.hpp"

#include <numeric>

#include "kernels/arithmetic.hpp"
#include "kernels/loss_sums.hpp"
#include "kernels/quantized_rows.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::quant {

using device::DeviceMatrix;
using linalg::gemm;
using linalg::Transpose;

DeviceHeads::DeviceHeads(const device::Context& gpu,
                         const std::vector<const OutputSide<float>*>& sides, Index rows)
    : count(static_cast<Index>(sides.size())) {
  if (sides.empty()) return;
  size = rows / count;
  CONSTRICTOR_REQUIRE(size * count == rows, rows, count);
  H = {gpu, rows, size, "output sides of heads"};
  std::vector<std::int32_t> orders;
  for (Index h = 0; h < count; ++h) {
    const OutputSide<float>& side = *sides[static_cast<std::size_t>(h)];
    CONSTRICTOR_REQUIRE(side.H.rows() == size && side.U.rows() == size, side.H.rows(), size);
    device::upload<float>(side.H.view(), H.view().rows_from(h * size, size), gpu.main());
    for (Index p = 0; p < size; ++p)
      orders.push_back(side.order.empty() ? static_cast<std::int32_t>(p)
                                          : side.order[static_cast<std::size_t>(p)]);
  }
  order = {gpu, count, size, "row orders of heads"};
  device::upload<std::int32_t>(View<const std::int32_t>(orders.data(), count, size, size),
                               order.view(), gpu.main());
}

DeviceObjective::DeviceObjective(const device::Context& gpu, DeviceView<const float> W,
                                 const DeviceInputSide& side, const DeviceHeads& heads)
    : gpu_(gpu), W_(W), side_(side), heads_(heads), weight_product_(input_product(W)) {
  if (side.D.empty()) return;
  DeviceMatrix<float> product(gpu, W.rows, W.cols, "weights times the drift");
  gemm<float, float>(gpu, Transpose::no, Transpose::no, 1, W, side.D.view(), 0, product.view());
  drift_ = weighted(std::move(product));
}

DeviceMatrix<float> DeviceObjective::weighted(DeviceMatrix<float> M) const {
  if (heads_.count == 0) return M;
  const Index d = heads_.size, in = M.cols();
  DeviceMatrix<float> out(gpu_, M.rows(), in, "rows weighted by the output sides");
  linalg::gemm_batched<float, float>(
      gpu_, Transpose::no, Transpose::no, 1, heads_.H.view().rows_from(0, d),
      read_only(M.view().rows_from(0, d)), 0, out.view().rows_from(0, d),
      {heads_.count, d * d, d * in, d * in});
  return out;
}

DeviceMatrix<float> DeviceObjective::input_product(DeviceView<const float> M) const {
  DeviceMatrix<float> out(gpu_, M.rows, M.cols, "rows times H_in");
  gemm<float, float>(gpu_, Transpose::no, Transpose::no, 1, M, side_.H.view(), 0, out.view());
  return out;
}

std::vector<double> DeviceObjective::row_losses(DeviceView<const float> Q,
                                                DeviceView<const float> QH) const {
  DeviceMatrix<float> change(gpu_, W_.rows, W_.cols, "half the slope of the loss");
  kernels::subtract(gpu_.main(), QH, weight_product_.view(), change.view());
  const auto gradient = weighted(std::move(change));
  DeviceMatrix<double> sums(gpu_, 1, W_.rows, "losses of rows");
  kernels::row_losses(gpu_.main(), {gradient.view(), drift_.view(), Q, W_}, sums.data());
  const auto host = device::downloaded<double>(gpu_, read_only(sums.view()));
  return {host.values().begin(), host.values().end()};
}

DeviceMatrix<float> DeviceObjective::residual(DeviceView<const float> QH) const {
  DeviceMatrix<float> change(gpu_, W_.rows, W_.cols, "residual of the weights");
  kernels::subtract(gpu_.main(), weight_product_.view(), QH, change.view());
  auto R = weighted(std::move(change));
  if (!drift_.empty()) kernels::add(gpu_.main(), drift_.view(), R.view());
  return R;
}

double DeviceObjective::scale() const {
  const auto product =
      weighted(device::copied<float>(gpu_, weight_product_.view(), "weights times H_in"));
  DeviceMatrix<double> sums(gpu_, 1, W_.rows, "scales of rows");
  kernels::row_dots(gpu_.main(), product.view(), W_, sums.data());
  const auto host = device::downloaded<double>(gpu_, read_only(sums.view()));
  return std::accumulate(host.values().begin(), host.values().end(), 0.);
}

}  // namespace constrictor::quant
