// SPDX-License-Identifier: Apache-2.0
#include "hessian/accumulate_gpu.hpp"

#include "hessian/head_norm_gpu.hpp"
#include "hessian/value_sums_gpu.hpp"
#include "kernels/statistics.hpp"
#include "linalg/gemm_gpu.hpp"

namespace constrictor::hessian {
namespace {

using device::DeviceMatrix;
using linalg::Transpose;

/// Gram sums of all heads of `values` [tokens x heads * d], one page each, then of every group the
/// sum over its pages: one product for all heads, since one head alone would leave a device idle.
template <class E>
void add_head_grams(const device::Context& gpu, const DeviceMatrix<E>& values, Index d, float beta,
                    std::vector<DeviceMatrix<float>>& sums) {
  const Index heads = values.cols() / d, group = heads / static_cast<Index>(sums.size());
  DeviceMatrix<float> pages(gpu, heads * d, d, "sums of queries and keys by head");
  const auto first = values.view().cols_from(0, d);
  linalg::gemm_batched<E, float>(gpu, Transpose::yes, Transpose::no, 1, first, first, 0,
                                 pages.view().rows_from(0, d), {heads, d, d, d * d});
  for (std::size_t k = 0; k < sums.size(); ++k)
    kernels::sum_pages(
        gpu.main(), read_only(pages.view().rows_from(static_cast<Index>(k) * group * d, group * d)),
        beta, sums[k].view());
}

}  // namespace

template <class E>
void accumulate(const device::Context& gpu, const SumShape& shape, const DeviceTrace<E>& quant,
                const DeviceTrace<E>* full, Index length, DeviceSums& sums) {
  CONSTRICTOR_REQUIRE((full != nullptr) == shape.drift, shape.drift);
  const Index tokens = quant.attention_input.rows();
  if (tokens == 0) return;
  const float beta = sums.beta();
  const auto place = [&](DeviceMatrix<E> DeviceTrace<E>::*member, DeviceInputSums& target) {
    if (target.gram.empty()) return;
    const auto X = (quant.*member).view();
    linalg::add_gram<E>(gpu, X, target.gram.view(), beta);
    if (full != nullptr)
      linalg::add_cross<E>(gpu, (full->*member).view(), X, target.cross.view(), beta);
  };
  place(&DeviceTrace<E>::attention_input, sums.attention_input);
  place(&DeviceTrace<E>::output_input, sums.output_input);
  place(&DeviceTrace<E>::mlp_input, sums.mlp_input);
  place(&DeviceTrace<E>::down_input, sums.down_input);
  if (shape.row_metric && shape.qk_norm) {
    add_head_norm_metrics(gpu, shape, quant, length, sums);
  } else if (shape.row_metric) {
    add_head_grams(gpu, quant.query, shape.head_dim, beta, sums.query_gram);
    add_head_grams(gpu, quant.key, shape.head_dim, beta, sums.key_gram);
  }
  if (shape.value_attention) add_value_sums(gpu, shape, quant, full, length, beta, sums.value);
  sums.tokens += tokens;
}

template void accumulate(const device::Context&, const SumShape&, const DeviceTrace<float>&,
                         const DeviceTrace<float>*, Index, DeviceSums&);
template void accumulate(const device::Context&, const SumShape&, const DeviceTrace<bfloat16>&,
                         const DeviceTrace<bfloat16>*, Index, DeviceSums&);

}  // namespace constrictor::hessian
