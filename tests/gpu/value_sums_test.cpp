// SPDX-License-Identifier: Apache-2.0
#include "hessian/value_sums.hpp"

#include "hessian/value_sums_gpu.hpp"
#include "tests/gpu/traces.hpp"

namespace constrictor::hessian {
namespace {

struct ValueSumsOnDevice : test::DeviceMatrices {
  template <class E>
  double error_of(const SumShape& shape, Index length, Index sequences) {
    constexpr bool wide = std::is_same_v<E, float>;
    const auto quant = test::random_trace(shape, length * sequences, 1);
    const auto full = test::random_trace(shape, length * sequences, 50);
    BlockSums wanted(shape);
    add_value_sums(shape, quant, shape.drift ? &full : nullptr, length,
                   wide ? Products::float32 : Products::bfloat16, 0, wanted.value);
    DeviceSums found(gpu, shape);
    const auto device_quant = test::on_device<E>(gpu, quant);
    const auto device_full = test::on_device<E>(gpu, full);
    add_value_sums<E>(gpu, shape, device_quant, shape.drift ? &device_full : nullptr, length, 0,
                      found.value);
    double worst = 0;
    for (std::size_t k = 0; k < found.value.size(); ++k) {
      worst =
          std::max(worst, test::upper_error(on_host(found.value[k].gram), wanted.value[k].gram));
      if (shape.drift)
        worst =
            std::max(worst, test::error_of(on_host(found.value[k].cross), wanted.value[k].cross));
    }
    return worst;
  }
};

// 263 is cut into two panels of columns, and no multiple of a tile.
TEST_F(ValueSumsOnDevice, PanelsOfTheTriangleAddUp) {
  SumShape shape{.hidden = 17,
                 .attention_width = 4,
                 .feed_forward = 3,
                 .heads = 2,
                 .kv_heads = 1,
                 .head_dim = 2,
                 .drift = true,
                 .value_attention = true,
                 .row_metric = false};
  EXPECT_LE(error_of<float>(shape, 263, 2), 3e-6);
  EXPECT_LE(error_of<bfloat16>(shape, 263, 1), 1. / 256);
  shape.drift = false;
  EXPECT_LE(error_of<float>(shape, 263, 1), 3e-6);
}

TEST_F(ValueSumsOnDevice, ManyShortSequences) {
  const SumShape shape{.hidden = 5,
                       .attention_width = 6,
                       .feed_forward = 3,
                       .heads = 3,
                       .kv_heads = 1,
                       .head_dim = 2,
                       .drift = true,
                       .value_attention = true,
                       .row_metric = false};
  EXPECT_LE(error_of<float>(shape, 1, 23), 3e-6);
  EXPECT_LE(error_of<float>(shape, 5, 41), 3e-6);
}

TEST(ValueSequences, StayBelowTheirMemoryButAreNeverNone) {
  SumShape shape;  // Llama-3-8B
  shape.hidden = 4096, shape.heads = 32, shape.kv_heads = 8, shape.head_dim = 128;
  shape.drift = shape.value_attention = true;
  const Index at_once = value_sequences<bfloat16>(shape, 2048);
  EXPECT_GE(at_once, 8);
  EXPECT_LE(at_once, 24);
  EXPECT_EQ(value_sequences<float>(shape, 1 << 20), 1);
  EXPECT_GT(value_sequences<bfloat16>(shape, 256), 100);
}

}  // namespace
}  // namespace constrictor::hessian
