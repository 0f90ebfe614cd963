// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "comm/sum_parts.hpp"
#include "data/block_sums.hpp"

namespace constrictor::hessian {

/// One set of block sums as it travels between ranks: of Gram matrices the upper triangle only.
struct TravellingSums {
  BlockSums sums;
  explicit TravellingSums(const SumShape& shape) : sums(shape) {}

  std::vector<comm::SumPart> parts() {
    std::vector<comm::SumPart> parts{std::span<Index>(sums.tokens)};
    const auto whole = [&](Matrix<float>& m) {
      if (!m.empty()) parts.emplace_back(m.values());
    };
    const auto upper = [&](Matrix<float>& m) {
      for (Index r = 0; r < m.rows(); ++r)
        parts.emplace_back(std::span(m.row(r) + r, static_cast<std::size_t>(m.cols() - r)));
    };
    const auto place = [&](InputSums& input) {
      upper(input.gram);
      whole(input.cross);
    };
    for (InputSums* input :
         {&sums.attention_input, &sums.output_input, &sums.mlp_input, &sums.down_input})
      place(*input);
    for (auto* several : {&sums.value, &sums.expert_mlp, &sums.expert_down})
      for (InputSums& input : *several) place(input);
    for (auto& m : sums.query_gram) upper(m);
    for (auto* heads : {&sums.key_gram, &sums.query_metric, &sums.key_metric})
      for (auto& m : *heads) upper(m);
    return parts;
  }
};

}  // namespace constrictor::hessian
