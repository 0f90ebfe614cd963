// SPDX-License-Identifier: Apache-2.0
// The statistics of hessian/accumulate_gpu.hpp; hessian/statistics.cpp is the oracle.
#include "hessian/accumulate_gpu.hpp"
#include "kernels/convert.hpp"
#include "kernels/statistics.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;

double per_token(const DeviceSums& sums) { return 2. / static_cast<double>(sums.tokens); }

double group_size(const SumShape& shape) {
  return static_cast<double>(shape.heads / shape.kv_heads);
}

DeviceInputSums& sums_of(DeviceSums& sums, Place place, Index head) {
  switch (place) {
    case Place::attention_input:
      return sums.attention_input;
    case Place::output_input:
      return sums.output_input;
    case Place::mlp_input:
      return sums.mlp_input;
    case Place::down_input:
      return sums.down_input;
    case Place::value_head:
      break;
    case Place::expert_mlp:
    case Place::expert_down:
      throw Bug("experts have no sums on a device");
  }
  return sums.value.at(static_cast<std::size_t>(head));
}

/// All heads' matrices one below the other in float64, then rounded once, then cut on the host.
std::vector<Matrix<float>> output_hessians(const device::Context& gpu,
                                           std::vector<DeviceMatrix<float>>& grams, double factor,
                                           std::span<const float> frequencies, Index length) {
  const auto heads = static_cast<Index>(grams.size());
  const Index d = heads == 0 ? 0 : grams.front().rows();
  DeviceMatrix<float> all(gpu, heads * d, d, "H_out of all heads");
  const auto page = [&](auto& m, std::size_t k) {
    return m.view().rows_from(static_cast<Index>(k) * d, d);
  };
  if (frequencies.empty()) {
    for (std::size_t k = 0; k < grams.size(); ++k)
      kernels::scaled_statistics(gpu.main(), grams[k].view(), {}, factor, page(all, k), {});
  } else {
    const auto half = static_cast<Index>(frequencies.size());
    DeviceMatrix<float> radians(gpu, 1, half, "rotation frequencies");
    device::upload<float>({frequencies.data(), 1, half, half}, radians.view(), gpu.main());
    DeviceMatrix<double> table(gpu, length, 2 * half, "rotations by position");
    kernels::rotation_table(gpu.main(), radians.view(), table.view());
    DeviceMatrix<double> mean(gpu, heads * d, d, "H_out of all heads");
    for (std::size_t k = 0; k < grams.size(); ++k)
      kernels::mean_rotated_back(gpu.main(), grams[k].view(), factor, table.view(), page(mean, k));
    kernels::convert<double, float>(gpu.main(), mean.view(), all.view());
  }
  const auto host = device::downloaded<float>(gpu, all.view());
  std::vector<Matrix<float>> hessians;
  for (Index k = 0; k < heads; ++k) hessians.emplace_back(host.view().rows_from(k * d, d));
  return hessians;
}

}  // namespace

DeviceInputStatistics input_statistics(const device::Context& gpu, const SumShape& shape,
                                       DeviceSums& sums, Place place, Index head) {
  const auto& from = sums_of(sums, place, head);
  const double factor =
      place == Place::value_head ? per_token(sums) / group_size(shape) : per_token(sums);
  const Index n = from.gram.rows(), n_cross = from.cross.rows();
  DeviceInputStatistics out{DeviceMatrix<float>(gpu, n, n, "H_in"),
                            DeviceMatrix<float>(gpu, n_cross, n_cross, "the drift D")};
  kernels::scaled_statistics(gpu.main(), from.gram.view(), from.cross.view(), factor, out.H.view(),
                             out.D.view());
  return out;
}

std::vector<Matrix<float>> query_output_hessians(const device::Context& gpu, const SumShape& shape,
                                                 DeviceSums& sums,
                                                 std::span<const float> frequencies, Index length) {
  return output_hessians(gpu, sums.key_gram, per_token(sums),
                         shape.qk_norm ? std::span<const float>() : frequencies, length);
}

std::vector<Matrix<float>> key_output_hessians(const device::Context& gpu, const SumShape& shape,
                                               DeviceSums& sums, std::span<const float> frequencies,
                                               Index length) {
  return output_hessians(gpu, sums.query_gram, per_token(sums) / group_size(shape),
                         shape.qk_norm ? std::span<const float>() : frequencies, length);
}

}  // namespace constrictor::hessian
