// SPDX-License-Identifier: Apache-2.0
#pragma once
// The same made-up trace of a block on the host and on the device.
#include "data/block_trace.hpp"
#include "data/device_block.hpp"
#include "tests/gpu/device_matrices.hpp"

namespace constrictor::test {

/// Random inputs of a block's layers. Every number is a bfloat16, so that both element types of the
/// device multiply what the oracle multiplies.
inline BlockTrace random_trace(const SumShape& shape, Index tokens, unsigned seed) {
  const auto random = [&](Index cols) {
    const auto narrow = normal_matrix<bfloat16>(tokens, cols, seed++);
    return converted<float>(narrow.view());
  };
  BlockTrace t;
  const Index kv_width = shape.kv_heads * shape.head_dim;
  t.attention_input = random(shape.hidden);
  t.query = random(shape.heads * shape.head_dim);
  t.key = random(kv_width);
  t.value = random(kv_width);
  t.output_input = random(shape.attention_width);
  t.mlp_input = random(shape.hidden);
  t.down_input = random(shape.feed_forward);
  t.output = random(shape.hidden);
  t.attention.scale = 1.f / std::sqrt(static_cast<float>(shape.head_dim));
  return t;
}

template <class E>
DeviceTrace<E> on_device(const device::Context& gpu, const BlockTrace& t) {
  const auto layer_input = [&](const Matrix<float>& m) {
    const auto narrow = converted<E>(m.view());
    return device::uploaded<E>(gpu, narrow.view(), "a trace");
  };
  DeviceTrace<E> d;
  d.attention_input = layer_input(t.attention_input);
  d.query = layer_input(t.query);
  d.key = layer_input(t.key);
  d.value = layer_input(t.value);
  d.output_input = layer_input(t.output_input);
  d.mlp_input = layer_input(t.mlp_input);
  d.down_input = layer_input(t.down_input);
  d.attention = t.attention;
  d.output = device::uploaded<float>(gpu, t.output.view(), "a trace");
  return d;
}

/// What the device holds, matrix by matrix in the order of BlockSums; below the diagonal of Gram
/// sums both sides are undefined.
struct HostSums {
  Matrix<float> values;
  bool upper;
};
inline std::vector<HostSums> host_sums(const device::Context& gpu, DeviceSums& sums) {
  std::vector<HostSums> all;
  sums.for_each_matrix([&](device::DeviceMatrix<float>& m, bool upper) {
    all.push_back({device::downloaded<float>(gpu, m.view()), upper});
  });
  return all;
}
/// The largest error of all sums, each relative to its largest element.
inline double error_of(const std::vector<HostSums>& found, BlockSums& wanted) {
  double worst = 0;
  std::size_t i = 0;
  wanted.for_each_matrix([&](Matrix<float>& m) {
    const HostSums& f = found.at(i++);
    worst = std::max(worst, f.upper ? upper_error(f.values, m) : error_of(f.values, m));
  });
  EXPECT_EQ(i, found.size());
  return worst;
}

}  // namespace constrictor::test
