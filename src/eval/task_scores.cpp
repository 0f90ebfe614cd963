// SPDX-License-Identifier: Apache-2.0
#include "eval/task_scores.hpp"

#include <array>
#include <cmath>
#include <map>
#include <string_view>

namespace constrictor::eval {
namespace {

constexpr std::array<std::string_view, 8> of_the_paper{"piqa",          "hellaswag",  "arc_easy",
                                                       "arc_challenge", "winogrande", "lambada",
                                                       "openbookqa",    "boolq"};

struct Tally {
  Index documents = 0, right = 0, right_normalized = 0;
};

Accuracy accuracy(Index right, Index documents) {
  const auto n = static_cast<double>(documents);
  const double share = static_cast<double>(right) / n;
  return {share, documents > 1 ? std::sqrt(share * (1 - share) / (n - 1)) : 0};
}

/// Adds the document whose requests are [first, last).
void add_document(const Requests& requests, const RequestAnswers& answers, std::size_t first,
                  std::size_t last, Tally& tally) {
  const RequestTask& task = requests.tasks[static_cast<std::size_t>(requests.task[first])];
  ++tally.documents;
  if (task.rule == AnswerRule::greedy) {
    tally.right += answers.greedy[first];
    return;
  }
  std::size_t best = first, best_normalized = first;
  const auto per_character = [&](std::size_t i) {
    return answers.log_likelihood[i] / requests.characters[i];
  };
  for (std::size_t i = first; i < last; ++i) {
    if (answers.log_likelihood[i] > answers.log_likelihood[best]) best = i;
    if (task.normalized && per_character(i) > per_character(best_normalized)) best_normalized = i;
  }
  tally.right += requests.choice[best] == requests.gold[first];
  tally.right_normalized += requests.choice[best_normalized] == requests.gold[first];
}

}  // namespace

std::vector<TaskScore> task_scores(const Requests& requests, const RequestAnswers& answers) {
  std::vector<Tally> tallies(requests.tasks.size());
  const std::size_t count = requests.context.size();
  for (std::size_t first = 0, last = 0; first < count; first = last) {
    while (last < count && requests.task[last] == requests.task[first] &&
           requests.document[last] == requests.document[first])
      ++last;
    add_document(requests, answers, first, last,
                 tallies[static_cast<std::size_t>(requests.task[first])]);
  }
  std::vector<TaskScore> scores;
  for (std::size_t t = 0; t < tallies.size(); ++t) {
    const auto& [documents, right, right_normalized] = tallies[t];
    if (documents == 0) continue;
    TaskScore score{requests.tasks[t].name, documents, requests.tasks[t].normalized, {}, {}};
    score.acc = accuracy(right, documents);
    if (score.normalized) score.acc_norm = accuracy(right_normalized, documents);
    scores.push_back(score);
  }
  return scores;
}

TaskAverage task_average(const std::vector<TaskScore>& scores) {
  std::map<std::string, std::vector<double>> values;
  for (const TaskScore& score : scores) {
    const bool lambada = score.name == "lambada_openai" || score.name == "lambada_standard";
    values[lambada ? "lambada" : score.name].push_back(score.main());
  }
  TaskAverage average;
  for (const auto& [name, of_task] : values) {
    double sum = 0;
    for (const double value : of_task) sum += value;
    average.value += sum / static_cast<double>(of_task.size());
    ++average.tasks;
  }
  if (average.tasks > 0) average.value /= static_cast<double>(average.tasks);
  average.whole = average.tasks == static_cast<Index>(of_the_paper.size()) &&
                  values.count("lambada") != 0 && values.at("lambada").size() == 2;
  for (const std::string_view name : of_the_paper)
    average.whole = average.whole && values.count(std::string(name)) != 0;
  return average;
}

}  // namespace constrictor::eval
