// SPDX-License-Identifier: Apache-2.0
#include "eval/summary.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace constrictor::eval {
namespace {

Tokens evaluation_tokens() {
  Tokens tokens;
  tokens.ids = Matrix<std::int32_t>(2, 8);
  tokens.path = "some/folder/wikitext2-test.tokens.h5";
  tokens.tokens_sha256 = "abc";
  return tokens;
}

TEST(Summary, AveragesOverWindowsBeforeTheExponential) {
  const std::vector<WindowScore> windows = {{1.0, 0.5, 0.25, 8}, {3.0, 1.5, 0.75, 4}};
  const Scores scores = collected(evaluation_tokens(), windows, Compared::yes);
  EXPECT_EQ(scores.dataset, "wikitext2-test");
  EXPECT_EQ(scores.tokens_sha256, "abc");
  EXPECT_EQ(scores.length, 8);
  EXPECT_EQ(scores.windows(), 2);
  EXPECT_DOUBLE_EQ(perplexity(scores), std::exp(2.0));
  EXPECT_DOUBLE_EQ(full_perplexity(scores), std::exp(1.0));
  EXPECT_DOUBLE_EQ(mean_kl(scores), 0.5);
  EXPECT_DOUBLE_EQ(scores.top1_agreement, 12.0 / 16);
}

TEST(Summary, WithoutComparisonOnlyPerplexityExists) {
  const std::vector<WindowScore> windows = {{1.0, 0, 0, 0}};
  const Scores scores = collected(evaluation_tokens(), windows, Compared::no);
  EXPECT_DOUBLE_EQ(perplexity(scores), std::exp(1.0));
  EXPECT_TRUE(scores.kl.empty() && scores.full_nll.empty());
  EXPECT_TRUE(std::isnan(mean_kl(scores)));
  EXPECT_TRUE(std::isnan(full_perplexity(scores)));
  EXPECT_EQ(scores.top1_agreement, 0);
}

TEST(Summary, OfNoWindowsIsNotANumber) {
  const Scores scores = collected(evaluation_tokens(), {}, Compared::yes);
  EXPECT_TRUE(std::isnan(perplexity(scores)));
  EXPECT_EQ(scores.top1_agreement, 0);
}

}  // namespace
}  // namespace constrictor::eval
