// SPDX-License-Identifier: Apache-2.0
// The row metrics behind the softmax against finite differences of the attention's output.
#include "hessian/softmax_metric.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "hessian/accumulate.hpp"
#include "hessian/statistics.hpp"

namespace constrictor::hessian {
namespace {

constexpr Index d = 4, L = 6, heads = 4, kv_heads = 2, hidden = 7, sequences = 2, T = L * sequences;
constexpr float frequencies[] = {0.7f, 0.2f};

SumShape shape_with(Index positions) {
  return {.hidden = hidden, .attention_width = heads * d, .feed_forward = 3, .heads = heads, .kv_heads = kv_heads,
          .head_dim = d, .softmax_metric = true, .metric_positions = positions};
}

struct Case {
  unsigned state = 7;
  BlockTrace trace;
  Matrix<float> output_weight = random(hidden, heads * d);
  Case() {
    trace.attention_input = random(T, hidden), trace.query = random(T, heads * d), trace.key = random(T, kv_heads * d);
    trace.value = random(T, kv_heads * d), trace.output_input = random(T, heads * d);
    trace.mlp_input = random(T, hidden), trace.down_input = random(T, 3), trace.output = random(T, hidden);
    for (float& v : trace.query.values()) v *= 2;  // far from an even softmax
  }
  Matrix<float> random(Index rows, Index cols) {
    auto m = Matrix<float>::uninitialized(rows, cols);
    for (float& v : m.values()) v = float((state = state * 1664525u + 1013904223u) >> 8) / float(1 << 23) - 1.f;
    return m;
  }
};

using Vector = std::vector<double>;

/// R_l e: pair i is (i, i + d/2).
Vector rotated(const Vector& e, Index position) {
  Vector out = e;
  for (Index i = 0; i < d / 2; ++i) {
    const double angle = double(position) * double(frequencies[i]);
    const double a = e[std::size_t(i)], b = e[std::size_t(i + d / 2)];
    out[std::size_t(i)] = a * std::cos(angle) - b * std::sin(angle);
    out[std::size_t(i + d / 2)] = b * std::cos(angle) + a * std::sin(angle);
  }
  return out;
}

/// W_o,h (attention output of head h at position l of sequence s), with query l moved by `dq` and key m by `dk`.
Vector output(const Case& c, Index s, Index h, Index l, const Vector& dq, Index m, const Vector& dk) {
  const Index g = h / (heads / kv_heads);
  Vector p, y(std::size_t(d), 0.), out(std::size_t(hidden), 0.);
  double total = 0;
  for (Index j = 0; j <= l; ++j) {
    double score = 0;
    for (Index i = 0; i < d; ++i)
      score += (double(c.trace.query(s * L + l, h * d + i)) + dq[std::size_t(i)]) *
               (double(c.trace.key(s * L + j, g * d + i)) + (j == m ? dk[std::size_t(i)] : 0.));
    p.push_back(std::exp(score / std::sqrt(double(d))));
    total += p.back();
  }
  for (Index j = 0; j <= l; ++j)
    for (Index i = 0; i < d; ++i) y[std::size_t(i)] += p[std::size_t(j)] / total * double(c.trace.value(s * L + j, g * d + i));
  for (Index r = 0; r < hidden; ++r)
    for (Index i = 0; i < d; ++i) out[std::size_t(r)] += double(c.output_weight(r, h * d + i)) * y[std::size_t(i)];
  return out;
}

/// |d output / d step|² for a step of the query, or of key m.
double squared_slope(const Case& c, Index s, Index h, Index l, Index m, const Vector& step, bool of_key) {
  constexpr double eps = 1e-5;
  const Vector none(std::size_t(d), 0.);
  Vector up = step, down = step;
  for (std::size_t i = 0; i < step.size(); ++i) up[i] = eps * step[i], down[i] = -eps * step[i];
  const auto at = [&](const Vector& move) {
    return of_key ? output(c, s, h, l, none, m, move) : output(c, s, h, l, move, 0, none);
  };
  const Vector a = at(up), b = at(down);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow((a[i] - b[i]) / (2 * eps), 2);
  return sum;
}

double form(const Matrix<float>& H, const Vector& e) {
  double sum = 0;
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) sum += e[std::size_t(i)] * double(H(i, j)) * e[std::size_t(j)];
  return sum;
}

void expect_slopes(Index wanted) {
  Case c;
  const SumShape shape = shape_with(wanted);
  const auto metric = softmax_metric(shape, c.output_weight.view(), frequencies, L);
  BlockSums sums(shape);
  accumulate(shape, c.trace, nullptr, L, Products::float32, sums, &metric);
  const auto positions = metric_positions(L, wanted);
  const double queries = double(sequences) * double(positions.size());
  const Vector errors[] = {{1, 0, 0, 0}, {0, 0, 1, 0}, {0.3, -1, 0.5, 0.2}, {-0.4, 0.1, 0.9, 1}};
  for (const Vector& e : errors) {
    for (Index h = 0; h < heads; ++h) {
      double slopes = 0;
      for (Index s = 0; s < sequences; ++s)
        for (const Index l : positions) slopes += squared_slope(c, s, h, l, 0, rotated(e, l), false);
      const auto H = softmax_output_hessian(shape, sums, sums.query_metric[std::size_t(h)], L);
      EXPECT_NEAR(form(H, e), slopes / queries, 1e-4 * slopes / queries) << "query head " << h;
    }
    for (Index k = 0; k < kv_heads; ++k) {
      double slopes = 0;
      for (Index h = 2 * k; h < 2 * k + 2; ++h)
        for (Index s = 0; s < sequences; ++s)
          for (const Index l : positions)
            for (Index m = 0; m <= l; ++m) slopes += squared_slope(c, s, h, l, m, rotated(e, m), true);
      const auto H = softmax_output_hessian(shape, sums, sums.key_metric[std::size_t(k)], L);
      EXPECT_NEAR(form(H, e), slopes / queries, 1e-4 * slopes / queries) << "key head " << k;
    }
  }
}

TEST(SoftmaxMetric, IsTheSlopeOfTheAttentionOutput) { expect_slopes(0); }
TEST(SoftmaxMetric, OfSomePositionsToo) { expect_slopes(4); }

TEST(SoftmaxMetric, PositionsAreSpreadEvenlyUpToTheLast) {
  EXPECT_EQ(metric_positions(4, 0), (std::vector<Index>{0, 1, 2, 3}));
  EXPECT_EQ(metric_positions(4, 9), (std::vector<Index>{0, 1, 2, 3}));
  EXPECT_EQ(metric_positions(12, 3), (std::vector<Index>{3, 7, 11}));
}

/// Chunk by chunk or at once: the same sums, up to the order of additions.
TEST(SoftmaxMetric, ChunksAddUp) {
  Case c;
  const SumShape shape = shape_with(0);
  const auto metric = softmax_metric(shape, c.output_weight.view(), {}, L);
  BlockSums once(shape), twice(shape);
  accumulate(shape, c.trace, nullptr, L, Products::float32, once, &metric);
  for (int chunk = 0; chunk < 2; ++chunk)
    accumulate(shape, c.trace, nullptr, L, Products::float32, twice, &metric);
  for (Index h = 0; h < heads; ++h)
    for (Index i = 0; i < d; ++i)
      for (Index j = i; j < d; ++j)
        EXPECT_FLOAT_EQ(twice.query_metric[std::size_t(h)](i, j), 2 * once.query_metric[std::size_t(h)](i, j));
}

}  // namespace
}  // namespace constrictor::hessian
