// SPDX-License-Identifier: Apache-2.0
#include "pipeline/answer_requests.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "comm/agree.hpp"
#include "pipeline/job.hpp"
#include "schedule/request_groups.hpp"

namespace constrictor::pipeline {
namespace {

using schedule::RequestGroup;
using Groups = std::span<const RequestGroup>;

struct Answer {
  Index request;
  double log_likelihood;
  Index greedy;
};

std::vector<Index> tokens_of(Groups groups) {
  std::vector<Index> tokens;
  for (const RequestGroup& group : groups) tokens.push_back(group.tokens());
  return tokens;
}

Groups some(Groups groups, const Piece& piece) {
  return groups.subspan(static_cast<std::size_t>(piece.first),
                        static_cast<std::size_t>(piece.size()));
}

/// Whole groups of one length, one below the other; all full but perhaps the last of them.
struct Bucket {
  Groups groups;
  Index length = 0, chunk = 1;
  Matrix<float> states;  // [sequences * length x hidden]
  std::shared_ptr<void> pinned;

  Bucket(Groups of_one_length, const Requests& requests, backend::Backend& backend,
         const ModelEnds& ends)
      : groups(of_one_length), length(groups[0].length) {
    Index sequences = 0;
    for (const RequestGroup& group : groups) {
      const auto here = static_cast<Index>(group.sequences.size());
      chunk = std::max(chunk, here);
      sequences += here;
    }
    auto ids = Matrix<std::int32_t>::uninitialized(sequences, length);
    std::int32_t* to = ids.data();
    for (const RequestGroup& group : groups)
      for (const auto& of_sequence : group.sequences) {
        const auto input = requests.input(of_sequence[0]);
        to = std::copy(input.begin(), input.end(), to);
      }
    states = backend.embed(ends, ids.view());
    pinned = backend.pinned(states.view());
  }
};

std::vector<Bucket> buckets_of(Groups mine, const Requests& requests, backend::Backend& backend,
                               const ModelEnds& ends) {
  std::vector<Bucket> buckets;
  while (!mine.empty()) {
    const auto end = std::find_if(mine.begin(), mine.end(), [&](const RequestGroup& group) {
      return group.length != mine[0].length;
    });
    const auto count = static_cast<std::size_t>(end - mine.begin());
    buckets.emplace_back(mine.first(count), requests, backend, ends);
    mine = mine.subspan(count);
  }
  return buckets;
}

/// The tokens of all continuations, group after group, and the hidden states before them.
struct Continuations {
  std::vector<Index> requests;        // in the order of their tokens
  std::vector<std::int32_t> targets;  // [tokens]
  std::vector<const float*> states;   // [tokens]
  std::vector<Piece> parts;           // tokens of each group
};

Continuations continuations_of(const std::vector<Bucket>& buckets, const Requests& requests) {
  Continuations all;
  for (const Bucket& bucket : buckets) {
    Index row = 0;  // first of the sequence
    for (const RequestGroup& group : bucket.groups) {
      const auto first = static_cast<Index>(all.targets.size());
      for (const auto& of_sequence : group.sequences) {
        for (const Index request : of_sequence) {
          const auto tokens = requests.all_tokens(request);
          const Index context = requests.context[static_cast<std::size_t>(request)];
          all.requests.push_back(request);
          for (Index t = context; t < static_cast<Index>(tokens.size()); ++t) {
            all.targets.push_back(tokens[static_cast<std::size_t>(t)]);
            all.states.push_back(bucket.states.row(row + t - 1));
          }
        }
        row += bucket.length;
      }
      all.parts.push_back({first, static_cast<Index>(all.targets.size())});
    }
  }
  return all;
}

std::vector<Answer> answers_of(const Continuations& all, const Requests& requests,
                               const std::vector<eval::TokenScore>& scores) {
  std::vector<Answer> answers;
  std::size_t token = 0;
  for (const Index request : all.requests) {
    Answer answer{request, 0, 1};
    const Index length = static_cast<Index>(requests.all_tokens(request).size()) -
                         requests.context[static_cast<std::size_t>(request)];
    for (Index t = 0; t < length; ++t, ++token) {
      answer.log_likelihood += scores[token].log_probability;
      answer.greedy = answer.greedy != 0 && scores[token].likeliest != 0;
    }
    if (!std::isfinite(answer.log_likelihood))
      throw NumericalError(requests.path + ": the log-likelihood of request " +
                           std::to_string(request) + " is " +
                           std::to_string(answer.log_likelihood));
    answers.push_back(answer);
  }
  return answers;
}

/// Takes my groups through the model.
std::vector<Answer> answer(Groups mine, const io::Checkpoint& checkpoint, backend::Backend& backend,
                           const QuantizedBlocks& quantized, const Requests& requests,
                           Products products, const std::function<void(Index block)>& progress) {
  if (mine.empty()) return {};
  const ModelEnds ends = checkpoint.load_ends();
  std::vector<Bucket> buckets = buckets_of(mine, requests, backend, ends);
  for (Index b = 0; b < checkpoint.spec().blocks; ++b) {
    progress(b);
    Block block = checkpoint.load_block(b, products);
    if (quantized) apply(quantized(b), products, block);
    std::vector<backend::Sequences> sequences;
    for (Bucket& bucket : buckets)
      sequences.push_back({bucket.states.view(), bucket.length, bucket.chunk});
    backend.advance(block, sequences);
  }
  const Continuations all = continuations_of(buckets, requests);
  auto states = Matrix<float>::uninitialized(static_cast<Index>(all.targets.size()),
                                             checkpoint.spec().hidden);
  for (Index t = 0; t < states.rows(); ++t)
    std::copy_n(all.states[static_cast<std::size_t>(t)], states.cols(), states.row(t));
  return answers_of(all, requests,
                    backend.score_tokens(ends, states.view(), all.targets, all.parts));
}

}  // namespace

void answer_requests(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                     backend::Backend& backend, const QuantizedBlocks& quantized,
                     const Requests& requests, const AnswerSettings& settings,
                     const std::function<void()>& save, RequestAnswers& answers, Screen& screen) {
  auto groups = schedule::request_groups(requests, backend.chunk_tokens());
  std::erase_if(groups, [&](const RequestGroup& group) {
    return std::all_of(group.sequences.begin(), group.sequences.end(), [&](const auto& those) {
      return std::all_of(those.begin(), those.end(), [&](Index request) {
        return answers.done[static_cast<std::size_t>(request)] != 0;
      });
    });
  });
  const auto parts =
      schedule::parts_of_groups(tokens_of(groups), settings.rank_tokens * ranks.size());
  const Index blocks = checkpoint.spec().blocks;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const Groups part = some(groups, parts[p]);
    const Groups mine =
        some(part, schedule::share_of_groups(tokens_of(part), ranks.size(), ranks.rank()));
    const auto progress = [&](Index block) {
      screen.progress(
          "requests, part " + std::to_string(p + 1) + " of " + std::to_string(parts.size()) +
              ", block " + std::to_string(block + 1) + " of " + std::to_string(blocks),
          (static_cast<double>(p) + static_cast<double>(block) / static_cast<double>(blocks)) /
              static_cast<double>(parts.size()));
    };
    const auto found = comm::agree(ranks, [&] {
      return answer(mine, checkpoint, backend, quantized, requests, settings.products, progress);
    });
    for (const auto& bytes : ranks.all_gather(comm::bytes_of(std::span<const Answer>(found))))
      for (const Answer& one : comm::values_of<Answer>(bytes)) {
        const auto request = static_cast<std::size_t>(one.request);
        answers.log_likelihood[request] = one.log_likelihood;
        answers.greedy[request] = one.greedy != 0;
        answers.done[request] = 1;
      }
    comm::agree_on_root(ranks, save);
  }
}

}  // namespace constrictor::pipeline
