// SPDX-License-Identifier: Apache-2.0
#include "eval/continuation.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/cross_entropy.hpp"

namespace constrictor::eval {

std::vector<TokenScore> score_tokens(const OutputHead& head, View<const float> x,
                                     std::span<const std::int32_t> targets) {
  const auto tokens = static_cast<Index>(targets.size());
  CONSTRICTOR_REQUIRE(x.rows == tokens, x.rows, tokens);
  std::vector<TokenScore> scores(targets.size());
  if (tokens == 0) return scores;
  const Index rows = std::min(rows_of_logits(head.vocabulary()), tokens);
  auto logits = Matrix<float>::uninitialized(rows, head.vocabulary());
  std::vector<double> nll(static_cast<std::size_t>(rows));
  for (Index i = 0; i < pieces(tokens, rows); ++i) {
    const Piece part = piece(tokens, rows, i);
    const auto y = logits.view().rows_from(0, part.size());
    const auto some = targets.subspan(static_cast<std::size_t>(part.first),
                                      static_cast<std::size_t>(part.size()));
    head.logits(x.rows_from(part.first, part.size()), y);
    kernels::cross_entropy(read_only(y), some,
                           std::span(nll).first(static_cast<std::size_t>(part.size())));
    parallel_for(part.size(), [&](Index r) {
      const float* row = y.row(r);
      const auto target = static_cast<Index>(some[static_cast<std::size_t>(r)]);
      scores[static_cast<std::size_t>(part.first + r)] = {
          -nll[static_cast<std::size_t>(r)], std::max_element(row, row + y.cols) - row == target};
    });
  }
  return scores;
}

}  // namespace constrictor::eval
