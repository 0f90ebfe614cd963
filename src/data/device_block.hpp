// SPDX-License-Identifier: Apache-2.0
#pragma once
// data/block.hpp, data/block_trace.hpp and data/block_sums.hpp on a device. E is the type of the
// factors of products: bfloat16, or float with `products: float32`.
#include "data/block.hpp"
#include "data/block_sums.hpp"
#include "data/block_trace.hpp"
#include "device/device_matrix.hpp"

namespace constrictor {

template <class E>
struct DeviceLayer {
  Role role = Role::query;
  device::DeviceMatrix<E> weight;    // [out x in]
  device::DeviceMatrix<float> bias;  // [1 x out], or empty
};

struct DeviceNorm {
  device::DeviceMatrix<float> weight;  // [1 x hidden]
  device::DeviceMatrix<float> bias;    // [1 x hidden], or empty
};

/// Layers in the order of Block::layers.
template <class E>
struct DeviceBlock {
  Index index = 0;
  std::vector<DeviceLayer<E>> layers;
  DeviceNorm attention_norm, mlp_norm, attention_post_norm, mlp_post_norm, query_norm, key_norm;

  const DeviceLayer<E>& layer(Role role) const {
    for (const auto& layer : layers)
      if (layer.role == role) return layer;
    throw Bug("a block without a layer of role " + std::to_string(static_cast<int>(role)));
  }
};

/// See HeadNormTrace; the weights are the block's.
struct DeviceHeadNormTrace {
  device::DeviceMatrix<float> query, key;
  const DeviceNorm *query_norm = nullptr, *key_norm = nullptr;
  std::vector<float> frequencies;
  double eps = 0;
};

/// What one block saw on its way, [tokens x width] each; see BlockTrace. Queries, keys and values
/// are kept as they were multiplied.
template <class E>
struct DeviceTrace {
  device::DeviceMatrix<E> attention_input, query, key, value, output_input, mlp_input, down_input;
  device::DeviceMatrix<float> output;
  AttentionForm attention;
  DeviceHeadNormTrace head_norm;
};

/// One set of sums; the same fields and shapes as BlockSums.
struct DeviceInputSums {
  device::DeviceMatrix<float> gram;   // upper triangle, the rest undefined
  device::DeviceMatrix<float> cross;  // empty without drift
};
struct DeviceSums {
  DeviceInputSums attention_input, output_input, mlp_input, down_input;
  std::vector<DeviceInputSums> value;                   // [kv_heads]
  std::vector<device::DeviceMatrix<float>> query_gram;  // [kv_heads] [d x d]
  std::vector<device::DeviceMatrix<float>> key_gram;    // [key_grams] [d x d]
  Index tokens = 0;

  /// Sums of nothing yet: the first chunk overwrites what the matrices hold.
  DeviceSums(const device::Context& gpu, const SumShape& shape) {
    const auto square = [&](Index n, const char* what) {
      return device::DeviceMatrix<float>(gpu, n, n, what);
    };
    const auto place = [&](Index in, const char* what) {
      return DeviceInputSums{square(in, what),
                             shape.drift ? square(in, what) : device::DeviceMatrix<float>()};
    };
    if (shape.attention_input) attention_input = place(shape.hidden, "sums of the attention input");
    if (shape.output_input)
      output_input = place(shape.attention_width, "sums of the attention output");
    if (shape.mlp_input) mlp_input = place(shape.hidden, "sums of the MLP input");
    if (shape.down_input)
      down_input = place(shape.feed_forward, "sums of the last MLP layer's input");
    for (Index h = 0; h < shape.kv_heads; ++h) {
      if (shape.value_attention) value.push_back(place(shape.hidden, "sums of the value layer"));
      if (shape.row_metric) query_gram.push_back(square(shape.head_dim, "sums of queries"));
    }
    for (Index h = 0; shape.row_metric && h < shape.key_grams(); ++h)
      key_gram.push_back(square(shape.head_dim, "sums of keys"));
  }

  float beta() const { return tokens == 0 ? 0.f : 1.f; }

  /// Calls fn(DeviceMatrix<float>&, bool upper) for every matrix, in the order of BlockSums.
  template <class Function>
  void for_each_matrix(Function&& fn) {
    const auto place = [&](DeviceInputSums& sums) {
      if (!sums.gram.empty()) fn(sums.gram, true);
      if (!sums.cross.empty()) fn(sums.cross, false);
    };
    for (auto* sums : {&attention_input, &output_input, &mlp_input, &down_input}) place(*sums);
    for (auto& sums : value) place(sums);
    for (auto& m : query_gram) fn(m, true);
    for (auto& m : key_gram) fn(m, true);
  }
};

}  // namespace constrictor
