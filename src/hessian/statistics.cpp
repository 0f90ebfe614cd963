// SPDX-License-Identifier: Apache-2.0
#include "hessian/statistics.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::hessian {
namespace {

/// H = factor * gram (mirrored), D = factor * (cross - gram).
InputStatistics scaled(const InputSums& sums, double factor) {
  const Index n = sums.gram.rows();
  InputStatistics out{Matrix<float>::uninitialized(n, n),
                      sums.cross.empty() ? Matrix<float>() : Matrix<float>::uninitialized(n, n)};
  parallel_for(pieces(n, 64), [&](Index t) {
    const Piece rows = piece(n, 64, t);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index c = 0; c < n; ++c) {
        const float gram = c >= r ? sums.gram(r, c) : sums.gram(c, r);
        out.H(r, c) = static_cast<float>(factor * gram);
        if (!out.D.empty())
          out.D(r, c) = static_cast<float>(
              factor * (static_cast<double>(sums.cross(r, c)) - static_cast<double>(gram)));
      }
  });
  return out;
}

double per_token(const BlockSums& sums) { return 2. / static_cast<double>(sums.tokens[0]); }

Matrix<float> narrowed(const Matrix<double>& m) { return converted<float>(m.view()); }

Matrix<float> output_hessian(const Matrix<float>& gram, double factor,
                             std::span<const float> frequencies, Index length) {
  const Index d = gram.rows();
  auto M = Matrix<double>::uninitialized(d, d);
  for (Index r = 0; r < d; ++r)
    for (Index c = 0; c < d; ++c)
      M(r, c) = factor * static_cast<double>(c >= r ? gram(r, c) : gram(c, r));
  return narrowed(mean_rotated_back(M.view(), frequencies, length));
}

/// Σ over the experts, for those with too few tokens.
InputStatistics of_expert(const BlockSums& sums, const std::vector<InputSums>& experts,
                          Index expert) {
  const auto e = static_cast<std::size_t>(expert);
  const auto factor = [](Index tokens) {
    return 2. / static_cast<double>(std::max<Index>(tokens, 1));
  };
  const InputSums& own = experts.at(e);
  if (!shares_statistics(sums, expert, own.gram.rows()))
    return scaled(own, factor(sums.tokens[1 + e]));
  InputSums all{Matrix<float>(own.gram.rows(), own.gram.cols()),
                Matrix<float>(own.cross.rows(), own.cross.cols())};
  Index tokens = 0;
  for (std::size_t other = 0; other < experts.size(); ++other) {
    tokens += sums.tokens[1 + other];
    for (Index i = 0; i < all.gram.size(); ++i) all.gram.data()[i] += experts[other].gram.data()[i];
    for (Index i = 0; i < all.cross.size(); ++i)
      all.cross.data()[i] += experts[other].cross.data()[i];
  }
  return scaled(all, factor(tokens));
}

}  // namespace

bool shares_statistics(const BlockSums& sums, Index expert, Index inputs) {
  return sums.tokens.at(static_cast<std::size_t>(1 + expert)) < inputs;
}

InputStatistics input_statistics(const SumShape& shape, const BlockSums& sums, Place place,
                                 Index head) {
  switch (place) {
    case Place::attention_input:
      return scaled(sums.attention_input, per_token(sums));
    case Place::output_input:
      return scaled(sums.output_input, per_token(sums));
    case Place::mlp_input:
      return scaled(sums.mlp_input, per_token(sums));
    case Place::down_input:
      return scaled(sums.down_input, per_token(sums));
    case Place::expert_mlp:
      return of_expert(sums, sums.expert_mlp, head);
    case Place::expert_down:
      return of_expert(sums, sums.expert_down, head);
    case Place::value_head:
      break;
  }
  const double group = static_cast<double>(shape.heads / shape.kv_heads);
  return scaled(sums.value.at(static_cast<std::size_t>(head)), per_token(sums) / group);
}

Matrix<float> query_output_hessian(const SumShape& shape, const BlockSums& sums, Index kv_head,
                                   std::span<const float> frequencies, Index length) {
  return output_hessian(sums.key_gram.at(static_cast<std::size_t>(kv_head)), per_token(sums),
                        shape.qk_norm ? std::span<const float>() : frequencies, length);
}

Matrix<float> key_output_hessian(const SumShape& shape, const BlockSums& sums, Index kv_head,
                                 std::span<const float> frequencies, Index length) {
  const double group = static_cast<double>(shape.heads / shape.kv_heads);
  return output_hessian(sums.query_gram.at(static_cast<std::size_t>(kv_head)),
                        per_token(sums) / group,
                        shape.qk_norm ? std::span<const float>() : frequencies, length);
}

Matrix<float> value_output_hessian(const SumShape& shape, View<const float> output_weight,
                                   Index kv_head) {
  const Index d = shape.head_dim, group = shape.heads / shape.kv_heads;
  Matrix<float> sum(d, d);
  for (Index h = kv_head * group; h < (kv_head + 1) * group; ++h)
    linalg::add_gram<float>(output_weight.block(0, h * d, output_weight.rows, d), sum.view());
  linalg::mirror_upper(sum.view());
  for (float& v : sum.values()) v /= static_cast<float>(group);
  return sum;
}

Matrix<double> mean_rotated_back(View<const double> M, std::span<const float> frequencies,
                                 Index length) {
  if (frequencies.empty()) return Matrix<double>(M);
  const Index d = M.rows, half = d / 2;
  CONSTRICTOR_REQUIRE(static_cast<Index>(frequencies.size()) == half, frequencies.size(), half);
  Matrix<double> mean(d, d);
  std::vector<double> cosine(static_cast<std::size_t>(half)), sine(static_cast<std::size_t>(half));
  for (Index l = 0; l < length; ++l) {
    for (Index i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(l) * static_cast<double>(frequencies[static_cast<std::size_t>(i)]);
      cosine[static_cast<std::size_t>(i)] = std::cos(angle);
      sine[static_cast<std::size_t>(i)] = std::sin(angle);
    }
    // Pair i of a head is (i, i + half); R_l x: (x_i c - x_j s, x_j c + x_i s), j = i + half.
    for (Index a = 0; a < half; ++a)
      for (Index b = 0; b < half; ++b) {
        const double ca = cosine[static_cast<std::size_t>(a)],
                     sa = sine[static_cast<std::size_t>(a)];
        const double cb = cosine[static_cast<std::size_t>(b)],
                     sb = sine[static_cast<std::size_t>(b)];
        const double m00 = M(a, b), m01 = M(a, b + half), m10 = M(a + half, b),
                     m11 = M(a + half, b + half);
        // rows of R' M, then columns of (R' M) R
        const double t00 = ca * m00 + sa * m10, t01 = ca * m01 + sa * m11;
        const double t10 = ca * m10 - sa * m00, t11 = ca * m11 - sa * m01;
        mean(a, b) += t00 * cb + t01 * sb;
        mean(a, b + half) += t01 * cb - t00 * sb;
        mean(a + half, b) += t10 * cb + t11 * sb;
        mean(a + half, b + half) += t11 * cb - t10 * sb;
      }
  }
  for (double& v : mean.values()) v /= static_cast<double>(length);
  return mean;
}

}  // namespace constrictor::hessian
