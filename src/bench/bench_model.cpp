// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_model.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "io/tensor_names.hpp"

namespace constrictor::bench {
namespace {

/// Bits of a number (Steele, Lea, Flood 2014: SplitMix64): any element can be drawn by itself.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Nearly N(0, 1): the sum of four 16-bit numbers, of mean 2 (2^16 - 1) and variance
/// (2^32 - 1) / 3. No library function, so the same on every machine.
float normal(std::uint64_t bits) {
  const auto part = [&](int shift) { return static_cast<std::int32_t>((bits >> shift) & 0xffff); };
  const std::int32_t sum = part(0) + part(16) + part(32) + part(48) - 2 * 0xffff;
  return static_cast<float>(sum) * (1.f / 37837.2272f);
}

/// A stream of its own for each matrix.
std::uint64_t stream_of(std::uint64_t seed, Index block, Index matrix) {
  return mixed(mixed(mixed(seed) + static_cast<std::uint64_t>(block)) +
               static_cast<std::uint64_t>(matrix));
}

Layer random_layer(const io::LayerShape& shape, Products products, std::uint64_t stream) {
  Layer layer{shape.name, shape.role, Matrix<float>::uninitialized(shape.out, shape.in), {}, {}};
  if (shape.bias) layer.bias.assign(static_cast<std::size_t>(shape.out), 0.f);
  const bool narrow = products == Products::bfloat16;
  if (narrow) layer.weight_bf16 = Matrix<bfloat16>::uninitialized(shape.out, shape.in);
  const float scale = 1.f / std::sqrt(static_cast<float>(shape.in));
  parallel_for(shape.out, [&](Index r) {
    const std::uint64_t row = stream + static_cast<std::uint64_t>(r * shape.in);
    for (Index c = 0; c < shape.in; ++c) {
      const bfloat16 stored(scale * normal(mixed(row + static_cast<std::uint64_t>(c))));
      layer.weight(r, c) = static_cast<float>(stored);
      if (narrow) layer.weight_bf16(r, c) = stored;
    }
  });
  return layer;
}

Norm plain_norm(const ModelSpec& model) {
  const auto width = static_cast<std::size_t>(model.hidden);
  Norm norm{std::vector<float>(width, 1.f), {}};
  if (model.norm_style == NormStyle::layer) norm.bias.assign(width, 0.f);
  return norm;
}

}  // namespace

Block outline(const ModelSpec& model) {
  Block block;
  for (const io::LayerShape& shape : io::layer_shapes(model))
    block.layers.push_back(
        {shape.name, shape.role, Matrix<float>::uninitialized(shape.out, shape.in), {}, {}});
  return block;
}

Block random_block(const ModelSpec& model, Index index, Products products, std::uint64_t seed) {
  Block block;
  block.index = index;
  for (const io::LayerShape& shape : io::layer_shapes(model)) {
    const auto number = static_cast<Index>(block.layers.size());
    block.layers.push_back(random_layer(shape, products, stream_of(seed, index, number)));
  }
  block.attention_norm = block.mlp_norm = plain_norm(model);
  return block;
}

Matrix<float> random_hidden_states(const ModelSpec& model, Index first, Index last, Index length,
                                   std::uint64_t seed) {
  const std::uint64_t tokens = stream_of(seed, -1, 0), channels = stream_of(seed, -1, 1);
  std::vector<float> scale;
  for (Index c = 0; c < model.hidden; ++c) {
    const std::uint64_t bits = mixed(channels + static_cast<std::uint64_t>(c)) >> 40;
    scale.push_back(0.5f + 1.5f * static_cast<float>(bits) / static_cast<float>(1 << 24));
  }
  auto states = Matrix<float>::uninitialized((last - first) * length, model.hidden);
  parallel_for(states.rows(), [&](Index r) {
    const auto row = static_cast<std::uint64_t>((first * length + r) * model.hidden);
    for (Index c = 0; c < model.hidden; ++c)
      states(r, c) = scale[static_cast<std::size_t>(c)] *
                     normal(mixed(tokens + row + static_cast<std::uint64_t>(c)));
  });
  return states;
}

}  // namespace constrictor::bench
