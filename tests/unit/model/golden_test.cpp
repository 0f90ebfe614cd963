// SPDX-License-Identifier: Apache-2.0
// The forward pass against Transformers, for every model folder in tests/oracle and the demo model.
#include "tests/unit/model/golden.hpp"

#include <gtest/gtest.h>

#include "kernels/cross_entropy.hpp"

namespace constrictor::model {
namespace {

// Two float32 programs that add the same terms in different orders differ by about epsilon *
// sqrt(terms) per product; a block chains four products of at most 64 terms: 4 * 8 * 2^-24 = 2e-6
// per block.
constexpr double block_tolerance = 5e-6;
constexpr double logits_tolerance = 1e-5;
// Rounding both factors to bfloat16 changes a product by up to 2 * 2^-9 of its terms' size.
constexpr double bfloat16_tolerance = 8 * 2.0 / 512;

class Golden : public testing::TestWithParam<const char*> {
 protected:
  const std::string folder = test::source_path(std::string("tests/oracle/") + GetParam());
  const io::Checkpoint checkpoint{folder};
  const ModelSpec& spec = checkpoint.spec();
  const io::H5File file = io::H5File::open(folder + "/golden.h5");
  const Matrix<std::int32_t> ids = file.matrix<std::int32_t>("tokens");
  const Matrix<float> logits = file.matrix<float>("logits");
  const Matrix<float> hidden = file.matrix<float>("hidden");  // [(blocks + 1) * tokens x hidden]
  View<const float> hidden_before(Index block) const {
    return hidden.view().rows_from(block * ids.size(), ids.size());
  }
};

TEST_P(Golden, Embedding) {
  const ModelEnds ends = checkpoint.load_ends();
  EXPECT_LE(test::relative_difference(embed(spec, ends, ids.view()).view(), hidden_before(0)),
            block_tolerance);
}

TEST_P(Golden, EachBlockFromItsGoldenInput) {
  for (Index b = 0; b < spec.blocks; ++b) {
    const Block block = checkpoint.load_block(b, Products::float32);
    const BlockTrace trace =
        forward(spec, block, hidden_before(b), ids.cols(), Products::float32, Keep::output_only);
    EXPECT_LE(test::relative_difference(trace.output.view(), hidden_before(b + 1)), block_tolerance)
        << "block " << b;
  }
}

TEST_P(Golden, LogitsFromTheLastGoldenHiddenState) {
  const Matrix<float> found =
      test::logits_of(spec, checkpoint.load_ends(), hidden_before(spec.blocks));
  EXPECT_LE(test::relative_difference(found, logits), block_tolerance);
}

TEST_P(Golden, LogitsFromTokens) {
  EXPECT_LE(
      test::relative_difference(test::logits_of(checkpoint, ids.view(), Products::float32), logits),
      logits_tolerance);
}

TEST_P(Golden, LogitsWithBfloat16ProductsAreNearAndNotTheSame) {
  const double difference = test::relative_difference(
      test::logits_of(checkpoint, ids.view(), Products::bfloat16), logits);
  EXPECT_LE(difference, bfloat16_tolerance);
  EXPECT_GT(difference, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Folders, Golden,
                         testing::Values("llama_gqa", "llama_linear", "llama_bias", "opt_before",
                                         "opt_after", "mistral", "qwen2", "qwen3", "gemma2",
                                         "gemma3", "mixtral",
                                         "qwen3_moe"),
                         [](const auto& name) { return std::string(name.param); });

TEST(GoldenDemo, LossesAndLogits) {
  const io::Checkpoint checkpoint(test::source_path("experiments/demo/model"));
  const io::H5File file = io::H5File::open(test::source_path("tests/oracle/demo_golden.h5"));
  const auto ids = file.matrix<std::int32_t>("tokens");
  const auto nll = file.matrix<float>("nll"), last_logits = file.matrix<float>("last_logits");
  const Index length = ids.cols(), kept = last_logits.rows() / ids.rows();

  for (const Products products : {Products::float32, Products::bfloat16}) {
    const bool exact = products == Products::float32;
    const Matrix<float> logits = test::logits_of(checkpoint, ids.view(), products);
    for (Index s = 0; s < ids.rows(); ++s) {
      const auto found = logits.view().rows_from(s * length, length);
      EXPECT_LE(test::relative_difference(found.rows_from(length - kept, kept),
                                          last_logits.view().rows_from(s * kept, kept)),
                exact ? logits_tolerance : bfloat16_tolerance);
      std::vector<double> losses(static_cast<std::size_t>(length - 1));
      kernels::cross_entropy(found.rows_from(0, length - 1),
                             {ids.row(s) + 1, static_cast<std::size_t>(length - 1)}, losses);
      double mean = 0, golden_mean = 0;
      for (Index t = 0; t + 1 < length; ++t) {
        const double loss = losses[static_cast<std::size_t>(t)];
        EXPECT_NEAR(loss, nll(s, t), exact ? 1e-4 : 0.2) << "sequence " << s << ", token " << t;
        mean += loss / static_cast<double>(length - 1);
        golden_mean += nll(s, t) / static_cast<double>(length - 1);
      }
      EXPECT_NEAR(mean, golden_mean, exact ? 2e-6 : 5e-3);
    }
  }
}

}  // namespace
}  // namespace constrictor::model
