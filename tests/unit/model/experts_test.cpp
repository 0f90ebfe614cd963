// SPDX-License-Identifier: Apache-2.0
// What statistics of experts rest on; outputs are held against Transformers in golden_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>

#include "io/checkpoint.hpp"
#include "model/ends.hpp"
#include "model/forward.hpp"

namespace constrictor::model {
namespace {

class Experts : public testing::Test {
 protected:
  const io::Checkpoint checkpoint{CONSTRICTOR_SOURCE_DIR "/tests/oracle/mixtral"};
  const Block block = checkpoint.load_block(0, Products::float32);
  Matrix<float> hidden_of(std::int32_t first) const {
    Matrix<std::int32_t> ids(2, 12);
    for (Index i = 0; i < ids.size(); ++i) ids.data()[i] = (first + 7 * std::int32_t(i)) % 97;
    return embed(checkpoint.spec(), checkpoint.load_ends(), ids.view());
  }
  BlockTrace run(const Matrix<float>& hidden, const BlockTrace* experts_as = nullptr) const {
    return forward(checkpoint.spec(), block, hidden.view(), 12, Products::float32,
                   Keep::layer_inputs, Until::end, experts_as);
  }
};

TEST_F(Experts, EveryTokenIsKeptByAsManyExpertsAsItUses) {
  const BlockTrace t = run(hidden_of(1));
  std::vector<int> uses(24, 0);
  for (const ExpertTrace& expert : t.experts) {
    EXPECT_TRUE(std::is_sorted(expert.tokens.begin(), expert.tokens.end()));
    EXPECT_EQ(expert.down_input.rows(), static_cast<Index>(expert.tokens.size()));
    for (const Index token : expert.tokens) ++uses[static_cast<std::size_t>(token)];
  }
  for (const int used : uses) EXPECT_EQ(used, checkpoint.spec().experts_per_token);
}

TEST_F(Experts, AnotherPathIsKeptForTheSameTokens) {
  const BlockTrace first = run(hidden_of(1)), alone = run(hidden_of(40));
  const BlockTrace beside = run(hidden_of(40), &first);
  EXPECT_EQ(std::vector<float>(alone.output.values().begin(), alone.output.values().end()),
            std::vector<float>(beside.output.values().begin(), beside.output.values().end()));
  for (std::size_t e = 0; e < first.experts.size(); ++e) {
    EXPECT_EQ(beside.experts[e].tokens, first.experts[e].tokens);
    for (std::size_t i = 0; i < alone.experts[e].tokens.size(); ++i) {
      const auto& kept = first.experts[e].tokens;  // what both use the expert for is equal
      const auto found = std::find(kept.begin(), kept.end(), alone.experts[e].tokens[i]);
      if (found == kept.end()) continue;
      const auto row = static_cast<Index>(found - kept.begin());
      for (Index c = 0; c < alone.experts[e].down_input.cols(); ++c)
        EXPECT_NEAR(beside.experts[e].down_input(row, c),
                    alone.experts[e].down_input(static_cast<Index>(i), c), 1e-5);
    }
  }
}

}  // namespace
}  // namespace constrictor::model
