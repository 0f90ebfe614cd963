// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/matrix.hpp"

namespace constrictor {

/// How the answers to a task's documents become an accuracy.
enum class AnswerRule {
  likeliest,  // multiple choice: the choice with the largest log-likelihood is the gold one
  greedy      // one request a document: its continuation is what greedy decoding gives (LAMBADA)
};

/// One task of a request file.
struct RequestTask {
  std::string name;
  AnswerRule rule = AnswerRule::likeliest;
  bool normalized = false;  // the task has acc_norm, too
};

/// One request file: continuations whose log-likelihood is asked for, each behind its context, and
/// what is needed to make accuracies of them. Requests of one document stand together.
struct Requests {
  std::vector<std::int32_t> tokens;      // context, continuation of all requests in their order
  std::vector<std::int64_t> offset;      // [requests + 1] of a request's first token
  std::vector<std::int32_t> context;     // [requests] tokens of the context, at least 1
  std::vector<std::int32_t> characters;  // [requests] of the choice's text, for acc_norm
  std::vector<std::int32_t> bytes;       // [requests] of the same in UTF-8
  std::vector<std::int32_t> task;        // [requests] place in `tasks`
  std::vector<std::int32_t> document;    // [requests] number within the task
  std::vector<std::int32_t> choice;      // [requests] number within the document
  std::vector<std::int32_t> gold;        // [requests] the document's right choice
  std::vector<RequestTask> tasks;
  Index vocabulary = 0;
  Index truncated = 0;  // requests that lost the begin of their context
  std::string path, harness, requests_sha256, tokenizer_sha256;

  Index count() const { return static_cast<Index>(context.size()); }
  std::span<const std::int32_t> all_tokens(Index request) const {
    const auto first = offset[static_cast<std::size_t>(request)];
    const auto last = offset[static_cast<std::size_t>(request) + 1];
    return std::span(tokens).subspan(static_cast<std::size_t>(first),
                                     static_cast<std::size_t>(last - first));
  }
  /// What the model reads: the last token predicts nothing.
  std::span<const std::int32_t> input(Index request) const {
    const auto all = all_tokens(request);
    return all.first(all.size() - 1);
  }
};

/// The answers to a request file.
struct RequestAnswers {
  std::vector<double> log_likelihood;  // [requests] of the continuation, nats
  std::vector<std::uint8_t> greedy;    // [requests] 1: greedy decoding gives the continuation
  std::vector<std::uint8_t> done;      // [requests] 1: answered

  explicit RequestAnswers(Index requests = 0)
      : log_likelihood(static_cast<std::size_t>(requests)),
        greedy(log_likelihood.size()),
        done(log_likelihood.size()) {}
};

/// Share of documents answered rightly and its standard error, sqrt(a (1 - a) / (n - 1)).
struct Accuracy {
  double value = 0;
  double error = 0;
};

/// One task's result.
struct TaskScore {
  std::string name;
  Index documents = 0;
  bool normalized = false;
  Accuracy acc;       // log-likelihoods as they are, or greedy exactness
  Accuracy acc_norm;  // divided by the choice's characters; only when `normalized`
  /// acc_norm where the task has it, else acc.
  double main() const { return normalized ? acc_norm.value : acc.value; }
};

}  // namespace constrictor
