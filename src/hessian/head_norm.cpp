// SPDX-License-Identifier: Apache-2.0
#include "hessian/head_norm.hpp"

#include <cmath>

#include "core/parallel.hpp"
#include "kernels/rope.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

using linalg::Transpose;

Matrix<float> product(Transpose op, View<const float> A, View<const float> B) {
  auto C = Matrix<float>::uninitialized(op == Transpose::yes ? A.cols : A.rows, B.cols);
  linalg::gemm<float>(op, Transpose::no, 1.f, A, B, 0.f, C.view());
  return C;
}

/// Rotations of a sequence's positions, there and back, and T = [cos | sin].
struct Rotations {
  Rotations(std::span<const float> frequencies, Index length)
      : there(kernels::rope_table(frequencies, length)), back(there), T(length, there.head_dim()) {
    for (float& s : back.sin.values()) s = -s;
    const Index half = T.cols() / 2;
    for (Index l = 0; l < length; ++l)
      for (Index i = 0; i < half; ++i) {
        T(l, i) = there.cos(l, i);
        T(l, half + i) = there.sin(l, i);
      }
  }
  kernels::RopeTable there, back;
  Matrix<float> T;
};

/// Σ_l a_l R_l' M R_l, from G = Σ_l a_l t_l t_l' with t = (cos, sin); pair i is (i, i + half).
Matrix<float> rotated_back(const Matrix<float>& M, const Matrix<float>& G) {
  const Index half = M.rows() / 2;
  auto S = Matrix<float>::uninitialized(M.rows(), M.rows());
  for (Index a = 0; a < half; ++a)
    for (Index b = 0; b < half; ++b) {
      const Index A = a + half, B = b + half;
      const float cc = G(a, b), cs = G(a, B), sc = G(A, b), ss = G(A, B);
      S(a, b) = M(a, b) * cc + M(A, b) * sc + M(a, B) * cs + M(A, B) * ss;
      S(a, B) = M(a, B) * cc + M(A, B) * sc - M(a, b) * cs - M(A, b) * ss;
      S(A, b) = M(A, b) * cc - M(a, b) * sc + M(A, B) * cs - M(a, B) * ss;
      S(A, B) = M(A, B) * cc - M(a, B) * sc - M(A, b) * cs + M(a, b) * ss;
    }
  return S;
}

/// One head: what its rows are multiplied with after the norm, and the sum that they go to.
struct Head {
  std::span<const float> g;
  double eps;
  const Rotations& rotations;
  View<float> H;
};

/// H <- beta H + (1/L) Σ_l J_l' R_l' M R_l J_l of one sequence; u [L x d] before the norm.
void add_sequence(const Head& head, View<const float> u, const Matrix<float>& M, float beta) {
  const Index L = u.rows, d = u.cols;
  auto V = Matrix<float>::uninitialized(L, d), Y = V, F = head.rotations.T;
  std::vector<float> a(static_cast<std::size_t>(L));
  for (Index l = 0; l < L; ++l) {
    double squares = 0;
    for (Index c = 0; c < d; ++c) squares += static_cast<double>(u(l, c)) * u(l, c);
    const double r2 = squares / static_cast<double>(d) + head.eps;
    a[static_cast<std::size_t>(l)] = static_cast<float>(1 / r2);
    const auto scale = static_cast<float>(1 / std::sqrt(r2 * static_cast<double>(d)));
    for (Index c = 0; c < d; ++c) {
      V(l, c) = u(l, c) * scale;
      Y(l, c) = V(l, c) * head.g[static_cast<std::size_t>(c)];
      F(l, c) *= a[static_cast<std::size_t>(l)];
    }
  }
  kernels::rope(Y.view(), head.rotations.there);
  Matrix<float> Z = product(Transpose::no, Y.view(), M.view());
  kernels::rope(Z.view(), head.rotations.back);
  for (Index l = 0; l < L; ++l) {
    double vw = 0;
    for (Index c = 0; c < d; ++c) {
      Z(l, c) *= head.g[static_cast<std::size_t>(c)];
      vw += static_cast<double>(V(l, c)) * Z(l, c);
    }
    for (Index c = 0; c < d; ++c)
      Z(l, c) = a[static_cast<std::size_t>(l)] * (static_cast<float>(0.5 * vw) * V(l, c) - Z(l, c));
  }
  const Matrix<float> N = product(Transpose::yes, V.view(), Z.view());
  const Matrix<float> S =
      rotated_back(M, product(Transpose::yes, head.rotations.T.view(), F.view()));
  const float per_position = 1.f / static_cast<float>(L);
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) {
      const float gg = head.g[static_cast<std::size_t>(i)] * head.g[static_cast<std::size_t>(j)];
      const float add = per_position * (S(i, j) * gg + N(i, j) + N(j, i));
      head.H(i, j) = beta == 0 ? add : beta * head.H(i, j) + add;
    }
}

}  // namespace

void add_head_norm_metrics(const SumShape& shape, const BlockTrace& quant, Index length,
                           BlockSums& sums) {
  const HeadNormTrace& norm = quant.head_norm;
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  CONSTRICTOR_REQUIRE(shape.qk_norm && norm.query.rows() == quant.query.rows() &&
                          norm.key.rows() == quant.key.rows() && !norm.frequencies.empty(),
                      norm.query.rows(), norm.key.rows(), quant.query.rows());
  const Rotations rotations(norm.frequencies, length);
  const Index sequences = quant.query.rows() / length;
  const auto part = [&](const Matrix<float>& m, Index s, Index h) {
    return m.view().block(s * length, h * d, length, d);
  };
  const auto gram = [&](const Matrix<float>& m, Index s, Index first, Index last) {
    Matrix<float> M(d, d);
    for (Index h = first; h < last; ++h)
      linalg::gemm<float>(Transpose::yes, Transpose::no, 1.f, part(m, s, h), part(m, s, h), 1.f,
                          M.view());
    return M;
  };
  const float beta = sums.beta();
  parallel_for(shape.heads + shape.kv_heads, [&](Index task) {
    const bool query = task < shape.heads;
    const Index h = query ? task : task - shape.heads;
    auto& target = (query ? sums.key_gram : sums.query_gram)[static_cast<std::size_t>(h)];
    const Head head{query ? norm.query_weight : norm.key_weight, norm.eps, rotations,
                    target.view()};
    for (Index s = 0; s < sequences; ++s) {
      const Matrix<float> M = query ? gram(quant.key, s, h / group, h / group + 1)
                                    : gram(quant.query, s, h * group, (h + 1) * group);
      add_sequence(head, part(query ? norm.query : norm.key, s, h), M, s == 0 ? beta : 1.f);
    }
  });
}

}  // namespace constrictor::hessian
