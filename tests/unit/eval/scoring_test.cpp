// SPDX-License-Identifier: Apache-2.0
#include "eval/scoring.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include "tests/unit/kernels/values.hpp"

namespace constrictor::eval {
namespace {

struct Window {
  Matrix<float> full, quant;  // [length x width]
  std::vector<std::int32_t> ids;
};

Window random_window(Index length, Index width, Index vocabulary, std::uint64_t seed) {
  Window window{test::random_matrix(length, width, seed, 2.0), {}, {}};
  window.quant = window.full;
  const Matrix<float> noise = test::random_matrix(length, width, seed + 1, 0.5);
  for (std::size_t i = 0; i < noise.values().size(); ++i)
    window.quant.values()[i] += noise.values()[i];
  for (Index t = 0; t < length; ++t)
    window.ids.push_back(static_cast<std::int32_t>((t * 37 + 11) % vocabulary));
  return window;
}

/// log softmax of x W' for one token, float64.
std::vector<double> log_probabilities(const Matrix<float>& W, const float* x) {
  std::vector<double> y;
  double sum = 0;
  for (Index v = 0; v < W.rows(); ++v) {
    y.push_back(0);
    for (Index c = 0; c < W.cols(); ++c) y.back() += static_cast<double>(W(v, c)) * x[c];
    sum += std::exp(y.back());
  }
  for (double& value : y) value -= std::log(sum);
  return y;
}

WindowScore plain_score(const Matrix<float>& W, const Window& window) {
  WindowScore score;
  const auto length = static_cast<Index>(window.ids.size());
  const double predictions = static_cast<double>(length - 1);
  const auto top = [](const std::vector<double>& y) {
    return std::max_element(y.begin(), y.end()) - y.begin();
  };
  for (Index t = 0; t < length; ++t) {
    const auto p = log_probabilities(W, window.full.row(t)),
               q = log_probabilities(W, window.quant.row(t));
    for (std::size_t v = 0; v < p.size(); ++v)
      score.kl += std::exp(p[v]) * (p[v] - q[v]) / static_cast<double>(length);
    score.agree += top(p) == top(q);
    if (t + 1 == length) break;
    const auto next = static_cast<std::size_t>(window.ids[static_cast<std::size_t>(t + 1)]);
    score.full_nll -= p[next] / predictions;
    score.nll -= q[next] / predictions;
  }
  return score;
}

struct Size {
  Index length, width, vocabulary;
};
class ScoreWindow : public testing::TestWithParam<Size> {};

TEST_P(ScoreWindow, EqualsPlainLoopsInFloat64) {
  const auto [length, width, vocabulary] = GetParam();
  const Matrix<float> W = test::random_matrix(vocabulary, width, 5);
  const Window window = random_window(length, width, vocabulary, 6);
  const OutputHead head(W.view(), Products::float32, 0);
  const WindowScore expected = plain_score(W, window);
  const WindowScore found = score_window(head, window.full.view(), window.quant.view(), window.ids);
  // logits reach 2.5 width; their rounding enters the exponentials
  const double tolerance = test::float_epsilon * (16 + 2.5 * static_cast<double>(width));
  EXPECT_NEAR(found.nll, expected.nll, tolerance);
  EXPECT_NEAR(found.full_nll, expected.full_nll, tolerance);
  EXPECT_NEAR(found.kl, expected.kl, tolerance);
  EXPECT_EQ(found.agree, expected.agree);

  const WindowScore alone = score_window(head, {}, window.quant.view(), window.ids);
  EXPECT_NEAR(alone.nll, found.nll,
              1e-13 * (1 + found.nll));  // the same sums, subtracted in another order
  EXPECT_EQ(alone.full_nll, 0);
  EXPECT_EQ(alone.kl, 0);
  EXPECT_EQ(alone.agree, 0);
}

// 257 and 512 tokens: one token into the second chunk of logits, and exactly two chunks.
INSTANTIATE_TEST_SUITE_P(Sizes, ScoreWindow,
                         testing::Values(Size{2, 1, 1}, Size{2, 3, 5}, Size{40, 8, 33},
                                         Size{256, 4, 7}, Size{257, 4, 7}, Size{512, 4, 7}));

TEST(ScoreWindows, WithBfloat16ProductsScoresTheRoundedNumbers) {
  const Index length = 30, width = 24, vocabulary = 50;
  Matrix<float> W = test::random_matrix(vocabulary, width, 1);
  Window window = random_window(length, width, vocabulary, 2);
  const OutputHead head(W.view(), Products::bfloat16, 0);
  const WindowScore found = score_window(head, window.full.view(), window.quant.view(), window.ids);
  for (Matrix<float>* m : {&W, &window.full, &window.quant})
    for (float& v : m->values()) v = rounded_to_bfloat16(v);
  const WindowScore expected = plain_score(W, window);
  EXPECT_NEAR(found.nll, expected.nll, 1e-5);
  EXPECT_NEAR(found.kl, expected.kl, 1e-5);
  EXPECT_EQ(found.agree, expected.agree);
}

TEST(ScoreWindows, EachIsScoredAsIfAloneOnAnyNumberOfThreads) {
  const Index windows = 5, length = 20, width = 8, vocabulary = 64;
  const Matrix<float> W = test::random_matrix(vocabulary, width, 1);
  const Window all = random_window(windows * length, width, vocabulary, 2);
  const View<const std::int32_t> ids{all.ids.data(), windows, length, length};
  const OutputHead head(W.view(), Products::float32, 0);
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    const auto scores = score_windows(head, all.full.view(), all.quant.view(), ids);
    ASSERT_EQ(scores.size(), 5u);
    for (Index w = 0; w < windows; ++w) {
      const WindowScore alone = score_window(head, all.full.view().rows_from(w * length, length),
                                             all.quant.view().rows_from(w * length, length),
                                             {ids.row(w), static_cast<std::size_t>(length)});
      const WindowScore& found = scores[static_cast<std::size_t>(w)];
      EXPECT_EQ(found.nll, alone.nll);
      EXPECT_EQ(found.full_nll, alone.full_nll);
      EXPECT_EQ(found.kl, alone.kl);
      EXPECT_EQ(found.agree, alone.agree);
    }
  }
  omp_set_num_threads(before);
  EXPECT_TRUE(
      score_windows(head, {}, all.quant.view().rows_from(0, 0), {all.ids.data(), 0, length, length})
          .empty());
}

TEST(ScoreWindows, RefuseShapesThatDoNotFit) {
  const Matrix<float> W = test::random_matrix(9, 4, 1);
  const OutputHead head(W.view(), Products::float32, 0);
  const Window window = random_window(6, 4, 9, 2);
  const std::span<const std::int32_t> ids(window.ids);
  EXPECT_THROW(score_window(head, {}, window.quant.view().rows_from(0, 1), ids.subspan(0, 1)), Bug);
  EXPECT_THROW(score_window(head, {}, window.quant.view(), ids.subspan(1)), Bug);
  EXPECT_THROW(score_window(head, window.full.view().rows_from(0, 5), window.quant.view(), ids),
               Bug);
  EXPECT_THROW(OutputHead(W.view(), Products::automatic, 0), Bug);
  std::vector<std::int32_t> wrong(window.ids);
  wrong[3] = 9;
  EXPECT_THROW(score_window(head, window.full.view(), window.quant.view(), wrong), Bug);
  EXPECT_THROW(score_window(head, {}, window.quant.view(), wrong), Bug);
}

TEST(RowsOfLogits, StayWithinTheirMemory) {
  EXPECT_EQ(rows_of_logits(1), 256);
  EXPECT_EQ(rows_of_logits(50272), 256);
  EXPECT_EQ(rows_of_logits(128256), 130);
  EXPECT_EQ(rows_of_logits(Index{1} << 30), 16);
}

}  // namespace
}  // namespace constrictor::eval
