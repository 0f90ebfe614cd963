// SPDX-License-Identifier: Apache-2.0
#include "eval/scoring.hpp"

#include <algorithm>
#include <numeric>

#include "core/parallel.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/round_to_bfloat16.hpp"
#include "kernels/soft_cap.hpp"
#include "linalg/gemm.hpp"

namespace constrictor::eval {
using linalg::Transpose;
namespace {

struct PerToken {
  explicit PerToken(Index length)
      : nll(static_cast<std::size_t>(length)), full_nll(nll), kl(nll), agree(nll.size()) {}
  std::vector<double> nll, full_nll;  // the last token has none
  std::vector<double> kl;
  std::vector<std::uint8_t> agree;
};

template <class T>
std::span<T> part(std::vector<T>& values, Index first, Index count) {
  return std::span(values).subspan(static_cast<std::size_t>(first),
                                   static_cast<std::size_t>(count));
}

double mean_of_first(const std::vector<double>& values, Index count) {
  return std::accumulate(values.begin(), values.begin() + count, 0.0) / static_cast<double>(count);
}

}  // namespace

OutputHead::OutputHead(View<const float> weight, Products products, float soft_cap)
    : weight_(weight), soft_cap_(soft_cap) {
  CONSTRICTOR_REQUIRE(products != Products::automatic);
  CONSTRICTOR_REQUIRE(weight.size() > 0, weight.rows, weight.cols);
  if (products == Products::float32) return;
  rounded_ = Matrix<bfloat16>::uninitialized(weight.rows, weight.cols);
  kernels::to_bfloat16(weight, rounded_.view());
}

void OutputHead::logits(View<const float> x, View<float> logits) const {
  CONSTRICTOR_REQUIRE(x.cols == weight_.cols, x.cols, weight_.cols);
  if (rounded_.empty()) {
    linalg::gemm<float>(Transpose::no, Transpose::yes, 1.0f, x, weight_, 0.0f, logits);
  } else {
    auto rounded_x = Matrix<bfloat16>::uninitialized(x.rows, x.cols);
    kernels::to_bfloat16(x, rounded_x.view());
    linalg::gemm(Transpose::no, Transpose::yes, read_only(rounded_x.view()), rounded_.view(), 0.0f,
                 logits);
  }
  if (soft_cap_ > 0) kernels::soft_cap(logits, soft_cap_);
}

Index rows_of_logits(Index vocabulary) {
  constexpr Index most_rows = 256, fewest_rows = 16, most_logits = Index{1} << 24;
  return std::clamp(most_logits / vocabulary, fewest_rows, most_rows);
}

WindowScore score_window(const OutputHead& head, View<const float> full, View<const float> quant,
                         std::span<const std::int32_t> ids) {
  const auto length = static_cast<Index>(ids.size());
  const bool compare = full.rows > 0;
  CONSTRICTOR_REQUIRE(length >= 2 && quant.rows == length, length, quant.rows);
  CONSTRICTOR_REQUIRE(!compare || full.rows == length, full.rows, length);

  // Per token first, then one sum in the order of the tokens: the chunks leave no trace in it.
  PerToken tokens(length);
  const Index rows = std::min(rows_of_logits(head.vocabulary()), length);
  auto quant_logits = Matrix<float>::uninitialized(rows, head.vocabulary());
  auto full_logits = Matrix<float>::uninitialized(compare ? rows : 0, head.vocabulary());
  for (Index i = 0; i < pieces(length, rows); ++i) {
    const Piece chunk = piece(length, rows, i);
    // The last token of the window predicts nothing.
    const Index predictions = std::min(chunk.size(), length - 1 - chunk.first);
    const auto targets = ids.subspan(static_cast<std::size_t>(chunk.first + 1),
                                     static_cast<std::size_t>(predictions));
    const auto q = quant_logits.view().rows_from(0, chunk.size());
    head.logits(quant.rows_from(chunk.first, chunk.size()), q);
    if (!compare) {
      kernels::cross_entropy(read_only(q.rows_from(0, predictions)), targets,
                             part(tokens.nll, chunk.first, predictions));
      continue;
    }
    const auto p = full_logits.view().rows_from(0, chunk.size());
    head.logits(full.rows_from(chunk.first, chunk.size()), p);
    kernels::divergence(read_only(p), read_only(q),
                        {.kl = part(tokens.kl, chunk.first, chunk.size()),
                         .agree = part(tokens.agree, chunk.first, chunk.size()),
                         .p_log_sum = part(tokens.full_nll, chunk.first, chunk.size()),
                         .q_log_sum = part(tokens.nll, chunk.first, chunk.size())});
    for (Index t = 0; t < predictions; ++t) {  // the log sum, less the logit of the token that came
      const auto token = static_cast<std::size_t>(chunk.first + t);
      const std::int32_t target = targets[static_cast<std::size_t>(t)];
      CONSTRICTOR_REQUIRE(target >= 0 && target < head.vocabulary(), target, head.vocabulary());
      tokens.full_nll[token] -= p(t, target);
      tokens.nll[token] -= q(t, target);
    }
  }

  WindowScore score{.nll = mean_of_first(tokens.nll, length - 1)};
  if (!compare) return score;
  score.full_nll = mean_of_first(tokens.full_nll, length - 1);
  score.kl = mean_of_first(tokens.kl, length);
  score.agree = std::accumulate(tokens.agree.begin(), tokens.agree.end(), Index{0});
  return score;
}

std::vector<WindowScore> score_windows(const OutputHead& head, View<const float> full,
                                       View<const float> quant, View<const std::int32_t> ids) {
  const Index windows = ids.rows, length = ids.cols;
  CONSTRICTOR_REQUIRE(quant.rows == windows * length, quant.rows, windows, length);
  CONSTRICTOR_REQUIRE(full.rows == 0 || full.rows == quant.rows, full.rows, quant.rows);
  std::vector<WindowScore> scores(static_cast<std::size_t>(windows));
  const auto score = [&](Index w) {
    const auto full_rows = full.rows > 0 ? full.rows_from(w * length, length) : full;
    scores[static_cast<std::size_t>(w)] =
        score_window(head, full_rows, quant.rows_from(w * length, length),
                     {ids.row(w), static_cast<std::size_t>(length)});
  };
  // Small vocabulary: a thread a window. Large: all threads in the products of one window, so that
  // the logits of one window exist, not of as many as there are threads.
  constexpr Index small_vocabulary = Index{1} << 15;
  if (windows > 1 && head.vocabulary() <= small_vocabulary) {
    parallel_for(windows, score);
  } else {
    for (Index w = 0; w < windows; ++w) score(w);
  }
  return scores;
}

}  // namespace constrictor::eval
