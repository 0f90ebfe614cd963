// SPDX-License-Identifier: Apache-2.0
#include "eval/task_scores.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "eval/continuation.hpp"

namespace constrictor::eval {
namespace {

struct One {
  int task, document, choice, gold, characters;
  double log_likelihood;
  bool greedy;
};

std::pair<Requests, RequestAnswers> asked(const std::vector<RequestTask>& tasks,
                                          const std::vector<One>& all) {
  Requests requests;
  RequestAnswers answers(static_cast<Index>(all.size()));
  requests.tasks = tasks;
  for (std::size_t i = 0; i < all.size(); ++i) {
    requests.context.push_back(1);
    requests.task.push_back(all[i].task);
    requests.document.push_back(all[i].document);
    requests.choice.push_back(all[i].choice);
    requests.gold.push_back(all[i].gold);
    requests.characters.push_back(all[i].characters);
    answers.log_likelihood[i] = all[i].log_likelihood;
    answers.greedy[i] = all[i].greedy;
  }
  return {requests, answers};
}

TEST(TaskScores, LikeliestAndPerCharacter) {
  // Document 0: the short wrong choice is likelier, the long right one per character.
  // Document 1: both choices alike, so the first one counts, which is gold.
  const auto [requests, answers] =
      asked({{"t", AnswerRule::likeliest, true}}, {{0, 0, 0, 1, 2, -4, false},
                                                   {0, 0, 1, 1, 10, -5, false},
                                                   {0, 1, 0, 0, 3, -6, false},
                                                   {0, 1, 1, 0, 3, -6, false}});
  const auto scores = task_scores(requests, answers);
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].documents, 2);
  EXPECT_EQ(scores[0].acc.value, 0.5);
  EXPECT_EQ(scores[0].acc.error, 0.5);  // sqrt(0.5 * 0.5 / 1)
  EXPECT_EQ(scores[0].acc_norm.value, 1);
  EXPECT_EQ(scores[0].main(), 1);
}

TEST(TaskScores, GreedyExactnessAndTheTwoLambadas) {
  const auto [requests, answers] = asked({{"lambada_openai", AnswerRule::greedy, false},
                                          {"lambada_standard", AnswerRule::greedy, false},
                                          {"boolq", AnswerRule::likeliest, false}},
                                         {{0, 0, 0, 0, 1, -1, true},
                                          {1, 0, 0, 0, 1, -1, false},
                                          {2, 0, 0, 0, 1, -1, false},
                                          {2, 0, 1, 0, 1, -2, false}});
  const auto scores = task_scores(requests, answers);
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[0].acc.value, 1);
  EXPECT_EQ(scores[1].acc.value, 0);
  const TaskAverage average = task_average(scores);
  EXPECT_EQ(average.tasks, 2);
  EXPECT_EQ(average.value, 0.75);  // ((1 + 0) / 2 + 1) / 2
  EXPECT_FALSE(average.whole);
}

TEST(ScoreTokens, LogSoftmaxAndTheFirstOfEquals) {
  // Head = identity, so logits are the inputs themselves.
  Matrix<float> head(3, 3), x(2, 3);
  for (Index i = 0; i < 3; ++i) head(i, i) = 1;
  x(0, 0) = 1, x(0, 1) = 1, x(0, 2) = -1;
  x(1, 2) = 2;
  const std::vector<std::int32_t> targets{1, 2};
  const auto scores = score_tokens(OutputHead(head.view(), Products::float32, 0), x.view(),
                                   targets);
  EXPECT_NEAR(scores[0].log_probability, 1 - std::log(2 * std::exp(1.) + std::exp(-1.)), 1e-6);
  EXPECT_EQ(scores[0].likeliest, 0);  // token 0 is as likely and comes first
  EXPECT_NEAR(scores[1].log_probability, 2 - std::log(2 + std::exp(2.)), 1e-6);
  EXPECT_EQ(scores[1].likeliest, 1);
}

}  // namespace
}  // namespace constrictor::eval
