// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "data/requests.hpp"

namespace constrictor::eval {

/// Accuracies of all tasks of a file, as lm-evaluation-harness defines them, in the file's order.
///   likeliest: acc       argmax over choices of the log-likelihood is the gold choice
///              acc_norm  the same of log-likelihood / characters of the choice; the first of
///              equals
///   greedy:    acc       greedy decoding gives the continuation
std::vector<TaskScore> task_scores(const Requests& requests, const RequestAnswers& answers);

/// The average that the TurboBoA paper reports: acc_norm where a task has it, else acc;
/// lambada_openai and lambada_standard count as one task, with their mean.
struct TaskAverage {
  double value = 0;
  Index tasks = 0;
  bool whole = false;  // exactly the paper's eight
};
TaskAverage task_average(const std::vector<TaskScore>& scores);

}  // namespace constrictor::eval
