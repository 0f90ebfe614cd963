// SPDX-License-Identifier: Apache-2.0
#include "model/forward_gpu.hpp"

#include "model/decoder_block_gpu.hpp"

namespace constrictor::model {
namespace {

using device::DeviceMatrix;

/// [1 x size], or empty
DeviceMatrix<float> row_for(const device::Context& gpu, const std::vector<float>& values) {
  if (values.empty()) return {};
  return {gpu, 1, static_cast<Index>(values.size()), "a bias or the weight of a norm"};
}
void upload_row(const std::vector<float>& from, DeviceMatrix<float>& to,
                const device::Stream& stream) {
  const auto size = static_cast<Index>(from.size());
  if (size > 0) device::upload<float>({from.data(), 1, size, size}, to.view(), stream);
}
void upload_norm(const Norm& from, DeviceNorm& to, const device::Stream& stream) {
  upload_row(from.weight, to.weight, stream);
  upload_row(from.bias, to.bias, stream);
}

template <class E>
const Matrix<E>& stored_weight(const Layer& layer) {
  if constexpr (std::is_same_v<E, float>) {
    return layer.weight;
  } else {
    CONSTRICTOR_REQUIRE(layer.weight_bf16.rows() == layer.weight.rows() &&
                            layer.weight_bf16.cols() == layer.weight.cols(),
                        layer.name, layer.weight_bf16.rows(), layer.weight_bf16.cols());
    return layer.weight_bf16;
  }
}

}  // namespace

template <class E>
DeviceBlock<E> uploaded(const device::Context& gpu, const Block& block) {
  using Of = DeviceBlock<E>;
  constexpr std::pair<Norm Block::*, DeviceNorm Of::*> norms[] = {
      {&Block::attention_norm, &Of::attention_norm},
      {&Block::mlp_norm, &Of::mlp_norm},
      {&Block::attention_post_norm, &Of::attention_post_norm},
      {&Block::mlp_post_norm, &Of::mlp_post_norm},
      {&Block::query_norm, &Of::query_norm},
      {&Block::key_norm, &Of::key_norm}};
  DeviceBlock<E> result;
  result.index = block.index;
  for (const Layer& layer : block.layers)
    result.layers.push_back(
        {layer.role, DeviceMatrix<E>(gpu, layer.weight.rows(), layer.weight.cols(), "weights"),
         row_for(gpu, layer.bias)});
  const auto norm_for = [&](const Norm& norm) {
    return DeviceNorm{row_for(gpu, norm.weight), row_for(gpu, norm.bias)};
  };
  for (const auto& [host, on_device] : norms) result.*on_device = norm_for(block.*host);

  // The memory is this block's once main() has come to here.
  const device::Stream& stream = gpu.copies();
  stream.wait_for(gpu.main());
  for (std::size_t i = 0; i < block.layers.size(); ++i) {
    device::upload(stored_weight<E>(block.layers[i]).view(), result.layers[i].weight.view(),
                   stream);
    upload_row(block.layers[i].bias, result.layers[i].bias, stream);
  }
  for (const auto& [host, on_device] : norms) upload_norm(block.*host, result.*on_device, stream);
  return result;
}

template <class E>
DeviceTrace<E> forward(const device::Context& gpu, const ModelSpec& spec,
                       const DeviceBlock<E>& block, DeviceView<const float> hidden, Index length,
                       Keep keep, Until until) {
  CONSTRICTOR_REQUIRE(hidden.cols == spec.hidden, hidden.cols, spec.hidden);
  CONSTRICTOR_REQUIRE(length > 0 && hidden.rows % length == 0, hidden.rows, length);
  return decoder_block(DeviceStep<E>{gpu, spec, block, length, keep, until}, hidden);
}

#define CONSTRICTOR_INSTANTIATE(E)                                                                 \
  template DeviceBlock<E> uploaded(const device::Context&, const Block&);                          \
  template DeviceTrace<E> forward(const device::Context&, const ModelSpec&, const DeviceBlock<E>&, \
                                  DeviceView<const float>, Index, Keep, Until);
CONSTRICTOR_INSTANTIATE(float)
CONSTRICTOR_INSTANTIATE(bfloat16)
#undef CONSTRICTOR_INSTANTIATE

}  // namespace constrictor::model
