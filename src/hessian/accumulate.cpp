// SPDX-License-Identifier: Apache-2.0
#include "hessian/accumulate.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "hessian/head_norm.hpp"
#include "hessian/value_sums.hpp"
#include "kernels/round_to_bfloat16.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

/// Σ x~ x~' and Σ x x~' of one place.
template <class T>
void add_products(View<const T> quant, View<const T> full, float beta, InputSums& sums) {
  linalg::add_gram<T>(quant, sums.gram.view(), beta);
  if (!sums.cross.empty()) linalg::add_cross<T>(full, quant, sums.cross.view(), beta);
}

void add_place(const Matrix<float>& quant, const Matrix<float>* full, Products products, float beta,
               InputSums& sums) {
  const auto full_view = full != nullptr ? full->view() : View<const float>{};
  if (products != Products::bfloat16) return add_products<float>(quant.view(), full_view, beta, sums);
  const auto narrow = [](View<const float> wide) {
    auto out = Matrix<bfloat16>::uninitialized(wide.rows, wide.cols);
    kernels::to_bfloat16(wide, out.view());
    return out;
  };
  const auto quant16 = narrow(quant.view()), full16 = narrow(full_view);
  add_products<bfloat16>(quant16.view(), full16.view(), beta, sums);
}

Matrix<float> rows_of(const Matrix<float>& x, const std::vector<Index>& tokens) {
  auto rows = Matrix<float>::uninitialized(static_cast<Index>(tokens.size()), x.cols());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    std::copy(x.row(tokens[i]), x.row(tokens[i]) + x.cols(), rows.row(static_cast<Index>(i)));
  return rows;
}

/// The places of the experts: an expert's sums are over the tokens that x~ is routed to it by; x is
/// what the same expert sees of the same tokens in full precision, wherever those are routed there.
void add_experts(const BlockTrace& quant, const BlockTrace* full, Products products,
                 BlockSums& sums) {
  for (std::size_t e = 0; e < quant.experts.size(); ++e) {
    const ExpertTrace& expert = quant.experts[e];
    const bool drift = full != nullptr;
    const auto place = [&](const Matrix<float>& x, const Matrix<float>* wide, InputSums& target) {
      if (!expert.tokens.empty()) return add_place(x, wide, products, sums.beta(), target);
      if (sums.beta() != 0) return;
      target.gram.fill(0);
      target.cross.fill(0);
    };
    if (!sums.expert_mlp.empty()) {
      const auto x = rows_of(quant.mlp_input, expert.tokens);
      const auto wide = drift ? rows_of(full->mlp_input, expert.tokens) : Matrix<float>();
      place(x, drift ? &wide : nullptr, sums.expert_mlp[e]);
    }
    if (!sums.expert_down.empty())
      place(expert.down_input, drift ? &full->experts[e].down_input : nullptr,
            sums.expert_down[e]);
    sums.tokens[1 + e] += static_cast<Index>(expert.tokens.size());
  }
}

/// Gram sums of queries and keys per key-value head; small, all heads of a group share a sum.
void add_row_metrics(const SumShape& shape, const BlockTrace& quant, BlockSums& sums) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads, tokens = quant.query.rows();
  parallel_for(shape.kv_heads, [&](Index k) {
    const auto head = [&](const Matrix<float>& m, Index h) {
      return m.view().block(0, h * d, tokens, d);
    };
    linalg::add_gram<float>(head(quant.key, k), sums.key_gram[static_cast<std::size_t>(k)].view(), sums.beta());
    for (Index h = k * group; h < (k + 1) * group; ++h)
      linalg::add_gram<float>(head(quant.query, h),
                              sums.query_gram[static_cast<std::size_t>(k)].view(),
                              h == k * group ? sums.beta() : 1.f);
  });
}

}  // namespace

void accumulate(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full,
                Index length, Products products, BlockSums& sums, const SoftmaxMetric* metric) {
  CONSTRICTOR_REQUIRE((full != nullptr) == shape.drift, shape.drift);
  const auto place = [&](Matrix<float> BlockTrace::*member, InputSums& target) {
    if (target.gram.empty()) return;
    add_place(quant.*member, full != nullptr ? &(full->*member) : nullptr, products, sums.beta(),
              target);
  };
  place(&BlockTrace::attention_input, sums.attention_input);
  place(&BlockTrace::output_input, sums.output_input);
  place(&BlockTrace::mlp_input, sums.mlp_input);
  place(&BlockTrace::down_input, sums.down_input);
  if (shape.experts > 0) add_experts(quant, full, products, sums);
  if (shape.row_metric && shape.qk_norm) add_head_norm_metrics(shape, quant, length, sums);
  if (shape.row_metric && !shape.qk_norm) add_row_metrics(shape, quant, sums);
  if (shape.softmax_metric) {
    CONSTRICTOR_REQUIRE(metric != nullptr);
    add_softmax_metric(*metric, shape, quant, length, sums);
  }
  if (shape.value_attention) add_value_sums(shape, quant, full, length, products, sums.beta(), sums.value);
  sums.tokens[0] += quant.attention_input.rows();
}

}  // namespace constrictor::hessian
