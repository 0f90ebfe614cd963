// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "data/requests.hpp"
#include "pipeline/evaluation.hpp"

namespace constrictor::pipeline {

struct AnswerSettings {
  Products products = Products::float32;
  Index rank_tokens = Index{1} << 16;  // whose hidden states a rank holds at a time
};

/// Collective: answers the requests that are not done yet. Groups of sequences
/// (schedule/request_groups.hpp) are shared out over ranks; as many as fit go through the model
/// together, block by block, so that each block is read once for them; then `save` is called on
/// rank 0. An answer does not depend on ranks, threads, `rank_tokens` or what was done before.
/// NumericalError when a log-likelihood is not finite; Preempted when a stop was asked for.
void answer_requests(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                     backend::Backend& backend, const QuantizedBlocks& quantized,
                     const Requests& requests, const AnswerSettings& settings,
                     const std::function<void()>& save, RequestAnswers& answers, Screen& screen);

}  // namespace constrictor::pipeline
