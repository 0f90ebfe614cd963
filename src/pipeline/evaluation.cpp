// SPDX-License-Identifier: Apache-2.0
#include "pipeline/evaluation.hpp"

#include <algorithm>
#include <cstdio>

#include "comm/agree.hpp"
#include "eval/scoring.hpp"
#include "eval/summary.hpp"
#include "pipeline/job.hpp"

namespace constrictor::pipeline {
namespace {

/// My windows of one token file: whole chunks, contiguous over ranks.
struct Share {
  const Tokens* tokens;
  Index chunk = 1;  // windows that go together
  Index first = 0, last = 0;
  Matrix<float> quant, full;  // residual streams, [windows * length x hidden]
  std::shared_ptr<void> quant_pinned, full_pinned;

  Share(const Tokens& set, Index chunk_tokens, int ranks, int rank) : tokens(&set) {
    chunk = std::max<Index>(1, chunk_tokens / set.length());
    const Index chunks = (set.sequences() + chunk - 1) / chunk;
    first = std::min(set.sequences(), chunks * rank / ranks * chunk);
    last = std::min(set.sequences(), chunks * (rank + 1) / ranks * chunk);
  }
  void advance(backend::Backend& backend, const Block& block, Matrix<float>& states) const {
    backend.advance(block, {{states.view(), tokens->length(), chunk}});
  }
  View<const std::int32_t> ids() const { return tokens->ids.view().rows_from(first, last - first); }
};

}  // namespace

std::vector<Scores> evaluate(const comm::Communicator& ranks, const io::Checkpoint& checkpoint,
                             backend::Backend& backend, const QuantizedBlocks& quantized,
                             const std::vector<Tokens>& sets, const EvaluationSettings& settings,
                             SecondsByPhase& seconds, Screen& screen) {
  const PhaseTimer timer(seconds, "evaluation");
  const ModelSpec& model = checkpoint.spec();
  const bool compare = settings.kl && quantized != nullptr;
  std::vector<Share> shares;
  for (const Tokens& set : sets)
    shares.emplace_back(set, backend.chunk_tokens(), ranks.size(), ranks.rank());
  std::vector<Scores> all;
  if (sets.empty()) return all;

  std::vector<std::vector<eval::WindowScore>> mine;
  comm::agree(ranks, [&] {
    const ModelEnds ends = checkpoint.load_ends();
    for (Share& share : shares) {
      share.quant = backend.embed(ends, share.ids());
      if (compare) share.full = share.quant;
      share.quant_pinned = backend.pinned(share.quant.view());
      share.full_pinned = backend.pinned(share.full.view());
    }
    for (Index b = 0; b < model.blocks; ++b) {
      screen.progress(
          "evaluation, block " + std::to_string(b + 1) + " of " + std::to_string(model.blocks),
          static_cast<double>(b) / static_cast<double>(model.blocks));
      Block block = checkpoint.load_block(b, settings.products);
      if (compare)
        for (Share& share : shares) share.advance(backend, block, share.full);
      if (quantized) apply(quantized(b), settings.products, block);
      for (Share& share : shares) share.advance(backend, block, share.quant);
    }
    screen.progress("evaluation, scores", 1);
    for (Share& share : shares)
      mine.push_back(backend.score(ends, read_only(share.full.view()),
                                   read_only(share.quant.view()), share.ids()));
  });
  for (std::size_t s = 0; s < sets.size(); ++s) {
    std::vector<eval::WindowScore> windows;
    for (const auto& bytes :
         ranks.all_gather(comm::bytes_of(std::span<const eval::WindowScore>(mine[s]))))
      for (const auto& score : comm::values_of<eval::WindowScore>(bytes)) windows.push_back(score);
    all.push_back(
        eval::collected(sets[s], windows, compare ? eval::Compared::yes : eval::Compared::no));
  }
  return all;
}

std::string perplexity_text(double perplexity) {
  char text[32];
  std::snprintf(text, sizeof text, perplexity < 1e4 ? "%.2f" : "%.1e", perplexity);
  return text;
}

}  // namespace constrictor::pipeline
