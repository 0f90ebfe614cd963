// SPDX-License-Identifier: Apache-2.0
#include "hessian/value_sums.hpp"

#include <cmath>

#include "core/parallel.hpp"
#include "linalg/attention_probabilities.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

using linalg::gemm;
using linalg::Transpose;

constexpr Index no_rows = 0;

/// What one sequence and key-value head contributes: M X~ with M = Σ_h A_h' A_h, and with the cross matrix.
struct Weighted {
  View<float> gram;   // [L x in] out
  View<float> cross;  // [L x in] out, or no rows
};

/// Σ_h L_h' A_h over query heads, both lower triangular [L x L]: entry (i, j) needs rows >= max(i, j) only.
void add_triangular(View<const float> left, View<const float> right, float beta, View<float> M) {
  const Index L = left.rows, tile = linalg::attention_tile;
  for (Index first = 0; first < L; first += tile) {
    const Index n = std::min(tile, L - first), rest = L - first;
    gemm<float>(Transpose::yes, Transpose::no, 1.f, left.block(first, first, rest, n), right.block(first, 0, rest, L), beta,
                M.rows_from(first, n));
  }
}

void weigh_sequence(const SumShape& shape, Index kv_head, const BlockTrace& quant, const BlockTrace* full, Index first,
                    Index length, Weighted out) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  const float scale = 1.f / std::sqrt(static_cast<float>(d));
  const auto probabilities = [&](const BlockTrace& trace, Index h, Matrix<float>& A) {
    linalg::attention_probabilities(trace.query.view().block(first, h * d, length, d),
                                    trace.key.view().block(first, kv_head * d, length, d), scale, A.view());
  };
  auto A = Matrix<float>::uninitialized(length, length), M = A;
  Matrix<float> A_full, M_cross;
  if (full != nullptr) A_full = M_cross = A;
  for (Index h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    const float beta = h == kv_head * group ? 0.f : 1.f;
    probabilities(quant, h, A);
    add_triangular(A.view(), A.view(), beta, M.view());
    if (full == nullptr) continue;
    probabilities(*full, h, A_full);
    add_triangular(A_full.view(), A.view(), beta, M_cross.view());
  }
  const auto X = quant.attention_input.view().rows_from(first, length);
  gemm<float>(Transpose::no, Transpose::no, 1.f, M.view(), X, 0.f, out.gram);
  if (full != nullptr) gemm<float>(Transpose::no, Transpose::no, 1.f, M_cross.view(), X, 0.f, out.cross);
}

}  // namespace

void add_value_sums(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full, Index length,
                    std::vector<InputSums>& sums) {
  const auto& X = quant.attention_input;
  const Index tokens = X.rows(), sequences = tokens / length;
  if (sums.empty() || sums.front().cross.empty()) full = nullptr;
  auto weighted = Matrix<float>::uninitialized(tokens, X.cols());
  auto weighted_cross = Matrix<float>::uninitialized(full != nullptr ? tokens : no_rows, X.cols());
  for (Index k = 0; k < shape.kv_heads; ++k) {
    const auto one_sequence = [&](Index s) {
      const auto rows = [&](Matrix<float>& m) { return m.empty() ? View<float>{} : m.view().rows_from(s * length, length); };
      weigh_sequence(shape, k, quant, full, s * length, length, {rows(weighted), rows(weighted_cross)});
    };
    // Few sequences: the products inside use the threads; many: one sequence a thread. The same bits.
    if (sequences < 2 * omp_get_max_threads())
      for (Index s = 0; s < sequences; ++s) one_sequence(s);
    else
      parallel_for(sequences, one_sequence);
    InputSums& target = sums[static_cast<std::size_t>(k)];
    linalg::add_cross_upper<float>(X.view(), weighted.view(), target.gram.view());
    if (full != nullptr) linalg::add_cross<float>(full->attention_input.view(), weighted_cross.view(), target.cross.view());
  }
}

}  // namespace constrictor::hessian
