// SPDX-License-Identifier: Apache-2.0
#include "hessian/softmax_metric.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "kernels/softmax_causal.hpp"
#include "linalg/factor.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

using linalg::Transpose;

/// Positions that go through one product side by side, about so many columns.
constexpr Index stacked_columns = 512;

/// F with F' F = G, upper triangular's transpose of G = R R'. A layer with fewer outputs than a
/// head has channels leaves G singular; a little more on its diagonal changes nothing that counts.
Matrix<float> root_of(Matrix<double> G) {
  const Index d = G.rows();
  double mean = 0;
  for (Index i = 0; i < d; ++i) mean += G(i, i) / static_cast<double>(d);
  if (mean == 0) return Matrix<float>(d, d);
  Matrix<double> R(d, d);
  for (double share = 1e-12; !linalg::upper_root<double>(G.view(), R.view()); share *= 10)
    for (Index i = 0; i < d; ++i) G(i, i) += share * mean;
  auto F = Matrix<float>::uninitialized(d, d);
  for (Index r = 0; r < d; ++r)
    for (Index c = 0; c < d; ++c) F(r, c) = static_cast<float>(R(c, r));
  return F;
}

/// x <- R_l' x for the rotation of one position; `step` elements from one of x to the next.
void rotate_back(const kernels::RopeTable& table, Index position, float* x, Index step) {
  const Index half = table.cos.cols();
  const float *cos = table.cos.row(position), *sin = table.sin.row(position);
  for (Index i = 0; i < half; ++i) {
    float &a = x[i * step], &b = x[(i + half) * step];
    const float first = cos[i] * a + sin[i] * b;
    b = cos[i] * b - sin[i] * a;
    a = first;
  }
}

/// One query head on one sequence.
struct Head {
  View<const float> q, k, v;       // [L x d], q and k after RoPE
  View<const float> root;          // F
  View<float> query_sum, key_sum;  // [d x d] out
};

/// Query positions of a sequence in tiles; leaves a_lm² |F (v_m - vbar_l)|² in `weights`
/// [positions x L], zeros where a query does not look.
void sum_queries(const SoftmaxMetric& metric, const Head& head, View<const float> q,
                 View<float> weights) {
  const Index d = head.k.cols, L = head.k.rows, width = std::max<Index>(1, stacked_columns / d);
  const auto count = static_cast<Index>(metric.positions.size());
  const float scale = 1.f / std::sqrt(static_cast<float>(d));
  Matrix<float> V(L, d), all_A(width, L), mean(width, d), all_B(L, width * d), all_M(width * d, d);
  linalg::gemm<float>(Transpose::no, Transpose::yes, 1.f, head.v, head.root, 0.f, V.view());
  for (Index t = 0; t < pieces(count, width); ++t) {
    const Piece tile = piece(count, width, t);
    const auto position = [&](Index i) {
      return metric.positions[static_cast<std::size_t>(tile.first + i)];
    };
    const Index n = tile.size(), keys = position(n - 1) + 1;
    const auto A = all_A.view().block(0, 0, n, keys), B = all_B.view().block(0, 0, keys, n * d);
    const auto K = head.k.rows_from(0, keys);
    linalg::gemm<float>(Transpose::no, Transpose::yes, scale, q.rows_from(tile.first, n), K, 0.f,
                        A);
    for (Index i = 0; i < n; ++i) kernels::softmax_causal(A.block(i, 0, 1, keys), position(i));
    linalg::gemm<float>(Transpose::no, Transpose::no, 1.f, read_only(A),
                        read_only(V.view()).rows_from(0, keys), 0.f, mean.view().rows_from(0, n));
    for (Index m = 0; m < keys; ++m)
      for (Index i = 0; i < n; ++i) {
        const float a = A(i, m), *v = V.row(m), *center = mean.row(i);
        float *b = B.row(m) + i * d, norm = 0;
        for (Index c = 0; c < d; ++c) {
          b[c] = a * (v[c] - center[c]);
          norm += b[c] * b[c];
        }
        weights(tile.first + i, m) = norm;
      }
    const auto M = all_M.view().rows_from(0, n * d);
    linalg::gemm<float>(Transpose::yes, Transpose::no, 1.f, read_only(B), K, 0.f, M);
    if (!metric.rope.cos.empty())
      for (Index r = 0; r < M.rows; ++r) rotate_back(metric.rope, position(r / d), M.row(r), 1);
    linalg::add_gram<float>(read_only(M), head.query_sum, t == 0 ? 0.f : 1.f);
  }
}

/// Key positions of a sequence in tiles.
void sum_keys(const SoftmaxMetric& metric, const Head& head, View<const float> q,
              View<const float> weights) {
  const Index d = head.k.cols, L = head.k.rows, width = std::max<Index>(1, stacked_columns / d);
  const Index count = q.rows;
  Matrix<float> all_C(count, width * d), all_S(width * d, d);
  for (Index r = 0; r < d; ++r) std::fill_n(head.key_sum.row(r), d, 0.f);
  for (Index t = 0; t < pieces(L, width); ++t) {
    const Piece tile = piece(L, width, t);
    const auto seen =
        std::lower_bound(metric.positions.begin(), metric.positions.end(), tile.first);
    const auto first = static_cast<Index>(seen - metric.positions.begin());
    const Index n = tile.size(), rows = count - first;
    if (rows == 0) break;  // no query that counts looks at these keys
    const auto C = all_C.view().block(0, 0, rows, n * d);
    for (Index r = 0; r < rows; ++r)
      for (Index i = 0; i < n; ++i) {
        const float weight = weights(first + r, tile.first + i), *from = q.row(first + r);
        float* to = C.row(r) + i * d;
        for (Index c = 0; c < d; ++c) to[c] = weight * from[c];
      }
    const auto S = all_S.view().rows_from(0, n * d);
    linalg::gemm<float>(Transpose::yes, Transpose::no, 1.f, read_only(C), q.rows_from(first, rows),
                        0.f, S);
    for (Index i = 0; i < n; ++i) {
      const auto page = S.rows_from(i * d, d);
      if (!metric.rope.cos.empty()) {
        for (Index r = 0; r < d; ++r) rotate_back(metric.rope, tile.first + i, page.row(r), 1);
        for (Index c = 0; c < d; ++c)
          rotate_back(metric.rope, tile.first + i, page.data + c, page.stride);
      }
      for (Index r = 0; r < d; ++r)
        for (Index c = 0; c < d; ++c) head.key_sum(r, c) += page(r, c);
    }
  }
}

}  // namespace

std::vector<Index> metric_positions(Index length, Index wanted) {
  const Index count = wanted == 0 ? length : std::min(wanted, length);
  std::vector<Index> positions;
  for (Index i = 1; i <= count; ++i) positions.push_back(i * length / count - 1);
  return positions;
}

SoftmaxMetric softmax_metric(const SumShape& shape, View<const float> output_weight,
                             std::span<const float> frequencies, Index length) {
  const Index d = shape.head_dim;
  SoftmaxMetric metric;
  metric.positions = metric_positions(length, shape.metric_positions);
  if (!frequencies.empty()) metric.rope = kernels::rope_table(frequencies, length);
  for (Index h = 0; h < shape.heads; ++h) {
    const auto W = converted<double>(output_weight.block(0, h * d, output_weight.rows, d));
    Matrix<double> G(d, d);
    linalg::gemm<double>(Transpose::yes, Transpose::no, 1., W.view(), W.view(), 0., G.view());
    metric.roots.push_back(root_of(std::move(G)));
  }
  return metric;
}

void add_softmax_metric(const SoftmaxMetric& metric, const SumShape& shape, const BlockTrace& quant,
                        Index length, BlockSums& sums) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  const Index sequences = quant.query.rows() / length, tasks = sequences * shape.heads;
  auto query_pages = Matrix<float>::uninitialized(tasks * d, d), key_pages = query_pages;
  parallel_for(tasks, [&](Index task) {
    const Index first = task / shape.heads * length, h = task % shape.heads, k = h / group;
    const auto of_head = [&](const Matrix<float>& m, Index head) {
      return m.view().block(first, head * d, length, d);
    };
    const Head head{of_head(quant.query, h),
                    of_head(quant.key, k),
                    of_head(quant.value, k),
                    metric.roots[static_cast<std::size_t>(h)].view(),
                    query_pages.view().rows_from(task * d, d),
                    key_pages.view().rows_from(task * d, d)};
    const auto count = static_cast<Index>(metric.positions.size());
    Matrix<float> q(count, d), weights(count, length);
    for (Index i = 0; i < count; ++i)
      std::copy_n(head.q.row(metric.positions[static_cast<std::size_t>(i)]), d, q.row(i));
    sum_queries(metric, head, q.view(), weights.view());
    sum_keys(metric, head, q.view(), weights.view());
  });
  // In the order of sequences and heads, whoever summed the pages.
  const float beta = sums.beta();
  const auto add_page = [&](const Matrix<float>& pages, Index task, bool is_first,
                            Matrix<float>& to) {
    for (Index r = 0; r < d; ++r)
      for (Index c = r; c < d; ++c) {
        const float old = is_first && beta == 0.f ? 0.f : to(r, c);
        to(r, c) = old + pages(task * d + r, c);
      }
  };
  for (Index task = 0; task < tasks; ++task) {
    const Index h = task % shape.heads, k = h / group;
    const bool is_first = task < shape.heads;
    add_page(query_pages, task, is_first, sums.query_metric[static_cast<std::size_t>(h)]);
    add_page(key_pages, task, is_first && h % group == 0,
             sums.key_metric[static_cast<std::size_t>(k)]);
  }
}

Matrix<float> softmax_output_hessian(const SumShape& shape, const BlockSums& sums,
                                     const Matrix<float>& sum, Index length) {
  const Index d = shape.head_dim;
  const auto counted = static_cast<double>(metric_positions(length, shape.metric_positions).size());
  const double queries = static_cast<double>(sums.tokens[0] / length) * counted;
  auto H = Matrix<float>::uninitialized(d, d);
  for (Index r = 0; r < d; ++r)
    for (Index c = 0; c < d; ++c)
      H(r, c) = static_cast<float>(static_cast<double>(c >= r ? sum(r, c) : sum(c, r)) /
                                   (queries * static_cast<double>(d)));
  return H;
}

}  // namespace constrictor::hessian
