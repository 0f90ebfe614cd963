// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "eval/scoring_gpu.hpp"
#include "tests/gpu/on_device.hpp"

namespace constrictor::eval {
namespace {

struct ScoreShape {
  Index windows, length, width, vocabulary;
};
class DeviceScoring : public test::OnDevice, public testing::WithParamInterface<ScoreShape> {
 protected:
  Index windows = GetParam().windows, length = GetParam().length, width = GetParam().width,
        vocabulary = GetParam().vocabulary;
  Matrix<float> head = test::random_matrix(vocabulary, width, 1),
                full = test::random_matrix(windows * length, width, 2, 2),
                quant = test::random_matrix(windows * length, width, 3, 2);
  Matrix<std::int32_t> ids{windows, length};
  float soft_cap = 0;

  void SetUp() override {
    for (Index i = 0; i < ids.size(); ++i)
      ids.data()[i] = static_cast<std::int32_t>((i * 37 + 11) % vocabulary);
    for (Index i = 0; i < full.size(); i += 2)  // half the way: the models agree here and there
      quant.data()[i] = full.data()[i];
  }

  template <class E>
  std::vector<WindowScore> on_device(View<const std::int32_t> of, View<const float> full_of,
                                     View<const float> quant_of) {
    const auto device_head = to_device(converted<E>(read_only(head.view())));
    const auto device_full = to_device(converted<E>(full_of));
    const auto device_quant = to_device(converted<E>(quant_of));
    return score_windows<E>(gpu, device_head.view(), device_full.view(), device_quant.view(), of,
                            soft_cap);
  }

  template <class E>
  void expect_equals_cpu(View<const float> of_full) {
    const OutputHead host_head(head.view(),
                               std::is_same_v<E, float> ? Products::float32 : Products::bfloat16,
                               soft_cap);
    const auto expected = score_windows(host_head, of_full, quant.view(), ids.view());
    const auto found = on_device<E>(ids.view(), of_full, quant.view());
    ASSERT_EQ(found.size(), expected.size());
    // logits of size 2 width: their rounding enters exponentials; the logarithm is of a float64 sum
    const double tolerance = test::float_epsilon * (8 + 2 * static_cast<double>(width));
    for (std::size_t w = 0; w < found.size(); ++w) {
      EXPECT_NEAR(found[w].nll, expected[w].nll, tolerance);
      EXPECT_NEAR(found[w].full_nll, expected[w].full_nll, tolerance);
      EXPECT_NEAR(found[w].kl, expected[w].kl, tolerance);
      EXPECT_EQ(found[w].agree, expected[w].agree);
    }
  }
};
// 2500 columns with 3000 tokens: several pieces of the vocabulary; 5 windows of 700: two go
// together.
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceScoring,
                         testing::Values(ScoreShape{0, 4, 3, 5}, ScoreShape{1, 2, 1, 1},
                                         ScoreShape{3, 7, 5, 37}, ScoreShape{3, 700, 3, 7},
                                         ScoreShape{2, 3, 8, 12289}));

TEST_P(DeviceScoring, EqualsCpu) {
  expect_equals_cpu<float>(full.view());
  expect_equals_cpu<bfloat16>(full.view());
}
TEST_P(DeviceScoring, EqualsCpuWithoutComparison) {
  expect_equals_cpu<float>({});
  expect_equals_cpu<bfloat16>({});
}
TEST_P(DeviceScoring, OneByOneIsAllTogether) {
  const auto together = on_device<float>(ids.view(), full.view(), quant.view());
  const Index group = windows_scored_together(length);
  for (Index first = 0; first < windows; first += group) {
    const Index count = std::min(group, windows - first);
    const auto rows = [&](const Matrix<float>& m) {
      return m.view().rows_from(first * length, count * length);
    };
    const auto alone =
        on_device<float>(read_only(ids.view()).rows_from(first, count), rows(full), rows(quant));
    for (std::size_t w = 0; w < alone.size(); ++w) {
      const WindowScore& same = together[static_cast<std::size_t>(first) + w];
      EXPECT_EQ(alone[w].nll, same.nll);
      EXPECT_EQ(alone[w].full_nll, same.full_nll);
      EXPECT_EQ(alone[w].kl, same.kl);
      EXPECT_EQ(alone[w].agree, same.agree);
    }
  }
}

TEST_P(DeviceScoring, TokensEqualCpu) {
  std::vector<std::int32_t> targets(ids.data(), ids.data() + ids.size());
  const OutputHead host_head(head.view(), Products::float32, 0);
  for (std::size_t t = 0; t < targets.size(); t += 3) {  // some are the likeliest
    Matrix<float> logits(1, vocabulary);
    host_head.logits(quant.view().rows_from(static_cast<Index>(t), 1), logits.view());
    targets[t] = static_cast<std::int32_t>(
        std::max_element(logits.data(), logits.data() + vocabulary) - logits.data());
  }
  const auto expected = score_tokens(host_head, quant.view(), targets);
  const auto device_head = to_device(head), device_quant = to_device(quant);
  const auto found = score_tokens<float>(gpu, device_head.view(), device_quant.view(), targets, 0.f);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t t = 0; t < found.size(); ++t) {
    EXPECT_NEAR(found[t].log_probability, expected[t].log_probability,
                test::float_epsilon * (8 + 2 * static_cast<double>(width)));
    EXPECT_EQ(found[t].likeliest, expected[t].likeliest);
    if (t % 3 == 0) {
      EXPECT_EQ(found[t].likeliest, 1);
    }
  }
}

struct DeviceScoringRefuses : test::OnDevice {};
TEST_F(DeviceScoringRefuses, ShapesAndTokensThatDoNotFit) {
  const auto head = to_device(test::random_matrix(9, 4, 1)),
             x = to_device(test::random_matrix(6, 4, 2));
  const Matrix<std::int32_t> ids(2, 3);
  const auto score = [&](DeviceView<const float> full, View<const std::int32_t> of) {
    return score_windows<float>(gpu, head.view(), full, x.view(), of, 0);
  };
  EXPECT_EQ(score(x.view(), ids.view()).size(), 2u);
  EXPECT_THROW(score(x.view(), ids.view().rows_from(0, 1)), Bug);
  EXPECT_THROW(score(x.view().rows_from(0, 3), ids.view()), Bug);
  EXPECT_THROW(score({}, {ids.data(), 6, 1, 1}), Bug);
  for (const std::int32_t wrong : {9, -1}) {
    auto bad = ids;
    bad(1, 1) = wrong;
    EXPECT_THROW(score({}, bad.view()), Bug);
  }
}

}  // namespace
}  // namespace constrictor::eval
