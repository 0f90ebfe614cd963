// SPDX-License-Identifier: Apache-2.0
#include "hessian/value_sums.hpp"

#include <algorithm>
#include <type_traits>

#include "core/parallel.hpp"
#include "core/threads.hpp"
#include "kernels/round_to_bfloat16.hpp"
#include "linalg/attention_probabilities.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

using linalg::Transpose;

void multiply(Transpose op, View<const float> A, View<const float> B, float beta, View<float> C) {
  linalg::gemm<float>(op, Transpose::no, 1.f, A, B, beta, C);
}
void multiply(Transpose op, View<const bfloat16> A, View<const bfloat16> B, float beta,
              View<float> C) {
  linalg::gemm(op, Transpose::no, A, B, beta, C);
}

/// A float32 matrix as factor of products in T: itself, or rounded.
template <class T>
class Factor {
 public:
  Factor(Index rows, Index cols) {
    if constexpr (!std::is_same_v<T, float>) rounded_ = Matrix<T>::uninitialized(rows, cols);
  }
  View<const T> operator()(View<const float> wide) {
    if constexpr (std::is_same_v<T, float>) {
      return wide;
    } else {
      kernels::to_bfloat16(wide, rounded_.view());
      return rounded_.view();
    }
  }

 private:
  Matrix<T> rounded_;
};

/// One chunk of sequences in both paths; `full` null without drift.
template <class T>
struct Chunk {
  const SumShape& shape;
  const BlockTrace& quant;
  const BlockTrace* full;
  Index length;
  View<const T> X;  // [tokens x in] inputs of the quantized path
};

/// M <- M beta + Σ_h L_h' A_h, both lower triangular [L x L]: entry (i, j) needs rows >= max(i, j).
template <class T>
void add_triangular(View<const T> left, View<const T> right, float beta, View<float> M) {
  const Index L = left.rows, tile = linalg::attention_tile;
  for (Index first = 0; first < L; first += tile) {
    const Index n = std::min(tile, L - first), rest = L - first;
    multiply(Transpose::yes, left.block(first, first, rest, n), right.block(first, 0, rest, L),
             beta, M.rows_from(first, n));
  }
}

/// gram [L x in] <- (Σ_h A_h' A_h) X~ and cross <- (Σ_h A_full,h' A_h) X~ of one sequence.
template <class T>
void weigh_sequence(const Chunk<T>& chunk, Index kv_head, Index first, View<float> gram,
                    View<float> cross) {
  const Index d = chunk.shape.head_dim, L = chunk.length;
  const Index group = chunk.shape.heads / chunk.shape.kv_heads;
  const auto probabilities = [&](const BlockTrace& trace, Index h, Matrix<float>& A) {
    linalg::attention_probabilities(trace.query.view().block(first, h * d, L, d),
                                    trace.key.view().block(first, kv_head * d, L, d),
                                    trace.attention, A.view());
  };
  auto A = Matrix<float>::uninitialized(L, L), M = Matrix<float>::uninitialized(L, L);
  Matrix<float> A_full, M_cross;
  if (chunk.full != nullptr) A_full = M_cross = A;
  Factor<T> factor(L, L), full_factor(L, chunk.full != nullptr ? L : 0);
  for (Index h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    const float beta = h == kv_head * group ? 0.f : 1.f;
    probabilities(chunk.quant, h, A);
    const auto right = factor(A.view());
    add_triangular<T>(right, right, beta, M.view());
    if (chunk.full == nullptr) continue;
    probabilities(*chunk.full, h, A_full);
    add_triangular<T>(full_factor(A_full.view()), right, beta, M_cross.view());
  }
  const auto X = chunk.X.rows_from(first, L);
  multiply(Transpose::no, factor(M.view()), X, 0.f, gram);
  if (chunk.full != nullptr) multiply(Transpose::no, full_factor(M_cross.view()), X, 0.f, cross);
}

template <class T>
void add_sums(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full, Index length,
              float beta, std::vector<InputSums>& sums) {
  const Index tokens = quant.attention_input.rows(), in = quant.attention_input.cols();
  const Index sequences = tokens / length, full_tokens = full != nullptr ? tokens : 0;
  Factor<T> quant_factor(tokens, in), full_factor(full_tokens, in), weighted_factor(tokens, in);
  const auto X = quant_factor(quant.attention_input.view());
  const auto X_full = full != nullptr ? full_factor(full->attention_input.view()) : View<const T>{};
  const Chunk<T> chunk{shape, quant, full, length, X};
  auto gram = Matrix<float>::uninitialized(tokens, in);
  auto cross = Matrix<float>::uninitialized(full_tokens, in);
  for (Index k = 0; k < shape.kv_heads; ++k) {
    const auto one_sequence = [&](Index s) {
      const auto rows = [&](Matrix<float>& m) {
        return m.empty() ? View<float>{} : m.view().rows_from(s * length, length);
      };
      weigh_sequence(chunk, k, s * length, rows(gram), rows(cross));
    };
    // Few sequences: the products inside use the threads; many: one sequence a thread. Equal bits.
    if (sequences < thread_count())
      for (Index s = 0; s < sequences; ++s) one_sequence(s);
    else
      parallel_for(sequences, one_sequence);
    InputSums& target = sums[static_cast<std::size_t>(k)];
    linalg::add_cross_upper<T>(X, weighted_factor(gram.view()), target.gram.view(), beta);
    if (full != nullptr)
      linalg::add_cross<T>(X_full, weighted_factor(cross.view()), target.cross.view(), beta);
  }
}

}  // namespace

void add_value_sums(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full,
                    Index length, Products products, float beta, std::vector<InputSums>& sums) {
  if (products == Products::bfloat16)
    add_sums<bfloat16>(shape, quant, full, length, beta, sums);
  else
    add_sums<float>(shape, quant, full, length, beta, sums);
}

}  // namespace constrictor::hessian
