// SPDX-License-Identifier: Apache-2.0
// The forward pass on the device: against Transformers for every model folder in tests/oracle, and
// field by field against the CPU.
#include "linalg/gemm_gpu.hpp"
#include "model/attention.hpp"
#include "model/attention_gpu.hpp"
#include "model/forward_gpu.hpp"
#include "tests/gpu/on_device.hpp"
#include "tests/unit/model/golden.hpp"

namespace constrictor::model {
namespace {

// As in tests/unit/model/golden_test.cpp: the order of float32 additions; bfloat16 factors. On the
// device queries, keys, values and probabilities are rounded to bfloat16 as well.
constexpr double block_tolerance = 5e-6;
constexpr double logits_tolerance = 1e-5;
constexpr double bfloat16_tolerance = 12 * 2.0 / 512;

class DeviceForward : public test::OnDevice, public testing::WithParamInterface<const char*> {
 protected:
  const std::string folder = test::source_path(std::string("tests/oracle/") + GetParam());
  const io::Checkpoint checkpoint{folder};
  const ModelSpec& spec = checkpoint.spec();
  const io::H5File file = io::H5File::open(folder + "/golden.h5");
  const Matrix<std::int32_t> ids = file.matrix<std::int32_t>("tokens");
  const Matrix<float> hidden = file.matrix<float>("hidden");  // [(blocks + 1) * tokens x hidden]
  View<const float> hidden_before(Index block) const {
    return hidden.view().rows_from(block * ids.size(), ids.size());
  }

  template <class E>
  static constexpr Products products =
      std::is_same_v<E, float> ? Products::float32 : Products::bfloat16;

  template <class E>
  Matrix<float> logits() {
    const ModelEnds ends = checkpoint.load_ends();
    const auto device_ends = uploaded<E>(gpu, spec, ends);
    auto states = embed<E>(gpu, spec, device_ends, ids.view());
    for (Index b = 0; b < spec.blocks; ++b) {
      const Block block = checkpoint.load_block(b, products<E>);
      const auto device_block = uploaded<E>(gpu, block);
      gpu.main().wait_for(gpu.copies());
      states =
          forward<E>(gpu, spec, device_block, states.view(), ids.cols(), Keep::output_only).output;
      gpu.main().synchronize();  // `block` must outlive its transfer
    }
    const auto x = head_input<E>(gpu, spec, device_ends, states.view());
    device::DeviceMatrix<float> y(gpu, x.rows(), device_ends.head.rows(), "logits");
    linalg::gemm<E, float>(gpu, linalg::Transpose::no, linalg::Transpose::yes, 1.0, x.view(),
                           device_ends.head.view(), 0.0, y.view());
    if (spec.final_soft_cap > 0)
      kernels::soft_cap(gpu.main(), y.view(), static_cast<float>(spec.final_soft_cap));
    return to_host(y);
  }

  /// All that a block leaves behind, converted, in the order of BlockTrace.
  template <class E>
  std::vector<Matrix<float>> trace_fields(Index b, Keep keep) {
    const Block block = checkpoint.load_block(b, products<E>);
    const auto device_block = uploaded<E>(gpu, block);
    const auto states = device::uploaded(gpu, hidden_before(b), "hidden states");
    gpu.main().wait_for(gpu.copies());
    const auto t = forward<E>(gpu, spec, device_block, states.view(), ids.cols(), keep);
    std::vector<Matrix<float>> fields;
    for (const auto* m : {&t.attention_input, &t.query, &t.key, &t.value, &t.output_input,
                          &t.mlp_input, &t.down_input})
      fields.push_back(converted<float>(read_only(to_host(*m).view())));
    fields.push_back(to_host(t.output));
    return fields;
  }
  template <class E>
  void expect_trace_of_cpu(double tolerance) {
    for (Index b = 0; b < spec.blocks; ++b) {
      const Block block = checkpoint.load_block(b, products<E>);
      const BlockTrace t =
          forward(spec, block, hidden_before(b), ids.cols(), products<E>, Keep::layer_inputs);
      const auto found = trace_fields<E>(b, Keep::layer_inputs);
      const Matrix<float>* expected[] = {&t.attention_input, &t.query,        &t.key,
                                         &t.value,           &t.output_input, &t.mlp_input,
                                         &t.down_input,      &t.output};
      for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_LE(test::relative_difference(found[i], *expected[i]), tolerance)
            << "block " << b << ", field " << i;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Folders, DeviceForward,
                         testing::Values("llama_gqa", "llama_linear", "llama_bias", "opt_before",
                                         "opt_after", "mistral", "qwen2", "qwen3", "gemma2",
                                         "gemma3"),
                         [](const auto& name) { return std::string(name.param); });

TEST_P(DeviceForward, Embedding) {
  const auto ends = uploaded<float>(gpu, spec, checkpoint.load_ends());
  const auto found = to_host(embed<float>(gpu, spec, ends, ids.view()));
  EXPECT_LE(test::relative_difference(found.view(), hidden_before(0)), block_tolerance);
}

TEST_P(DeviceForward, EachBlockFromItsGoldenInput) {
  for (Index b = 0; b < spec.blocks; ++b) {
    const auto fields = trace_fields<float>(b, Keep::output_only);
    EXPECT_LE(test::relative_difference(fields.back().view(), hidden_before(b + 1)),
              block_tolerance)
        << "block " << b;
    for (std::size_t i = 0; i + 1 < fields.size(); ++i) EXPECT_TRUE(fields[i].empty()) << i;
  }
}

TEST_P(DeviceForward, EachFieldOfTheTrace) {
  expect_trace_of_cpu<float>(block_tolerance);
  expect_trace_of_cpu<bfloat16>(bfloat16_tolerance);
}

TEST_P(DeviceForward, LogitsFromTokens) {
  const Matrix<float> golden = file.matrix<float>("logits");
  EXPECT_LE(test::relative_difference(logits<float>(), golden), logits_tolerance);
  const double difference = test::relative_difference(logits<bfloat16>(), golden);
  EXPECT_LE(difference, bfloat16_tolerance);
  EXPECT_GT(difference, 1e-4);  // that factors are rounded at all
}

struct HeadsShape {
  Index sequences, length, heads, kv_heads, head_dim;
};
class DeviceAttention : public test::OnDevice, public testing::WithParamInterface<HeadsShape> {
 protected:
  template <class E>
  void expect_equals_cpu() {
    const auto [sequences, length, heads, kv_heads, d] = GetParam();
    ModelSpec spec;
    spec.heads = heads, spec.kv_heads = kv_heads, spec.head_dim = d;
    const auto random = [&](Index width, std::uint64_t seed, double spread) {
      const auto wide = test::random_matrix(sequences * length, width, seed, spread);
      return converted<E>(wide.view());
    };
    const auto query = random(heads * d, 1, 2), key = random(kv_heads * d, 2, 2),
               value = random(kv_heads * d, 3, 1);
    const auto wide = [](const Matrix<E>& m) { return converted<float>(m.view()); };
    const auto expected = attention(spec, attention_form(spec, 0), length, wide(query).view(),
                                    wide(key).view(), wide(value).view());
    const auto q = to_device(query), k = to_device(key), v = to_device(value);
    const auto found = to_host(
        attention<E>(gpu, spec, attention_form(spec, 0), length, q.view(), k.view(), v.view()));
    // scores reach 4 sqrt(d), their rounding enters the exponential; values are at most 1, and the
    // weights of a row, rounded each, add up to 1
    const double tolerance = test::float_epsilon * (4 * static_cast<double>(d) + 8);
    test::expect_near(found, expected, test::rounding_of<E>, tolerance + test::rounding_of<E>);
  }
};
// 515 positions: one tile of queries and a ragged one.
INSTANTIATE_TEST_SUITE_P(Shapes, DeviceAttention,
                         testing::Values(HeadsShape{0, 3, 2, 1, 4}, HeadsShape{1, 1, 1, 1, 2},
                                         HeadsShape{3, 5, 6, 2, 6}, HeadsShape{2, 16, 2, 2, 8},
                                         HeadsShape{2, 515, 1, 1, 2}));
TEST_P(DeviceAttention, EqualsCpu) {
  expect_equals_cpu<float>();
  expect_equals_cpu<bfloat16>();
}

}  // namespace
}  // namespace constrictor::model
