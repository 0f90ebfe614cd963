// SPDX-License-Identifier: Apache-2.0
#pragma once
// model/forward.hpp and model/ends.hpp on the device.
#include "data/device_block.hpp"
#include "data/model_spec.hpp"
#include "device/device_matrix.hpp"
#include "model/forward.hpp"

namespace constrictor::model {

/// A block's weights on the device, queued on copies() behind what main() holds so far (whose
/// memory they may take over); join with main().wait_for(copies()). Queue the next block before the
/// work on this one, and its transfer runs beside that work. `block` must outlive the transfer.
/// bfloat16 takes Layer::weight_bf16, float Layer::weight.
template <class E>
DeviceBlock<E> uploaded(const device::Context& gpu, const Block& block);

/// One transformer block on whole sequences, see model::forward; norms, rotations, softmax and the
/// residual stream in float32, factors of products in E.
///   hidden  [sequences * length x hidden]
template <class E>
DeviceTrace<E> forward(const device::Context& gpu, const ModelSpec& spec,
                       const DeviceBlock<E>& block, DeviceView<const float> hidden, Index length,
                       Keep keep, Until until = Until::end);

/// The parts around the blocks, on the device.
template <class E>
struct DeviceEnds {
  device::DeviceMatrix<float> token_embedding, position_embedding, project_in, project_out;
  DeviceNorm final_norm;
  device::DeviceMatrix<E> head;  // [vocabulary x embedding_width]
};
template <class E>
DeviceEnds<E> uploaded(const device::Context& gpu, const ModelSpec& spec, const ModelEnds& ends);

/// Hidden states that enter block 0, see model::embed; ids [sequences x length] on the host.
template <class E>
device::DeviceMatrix<float> embed(const device::Context& gpu, const ModelSpec& spec,
                                  const DeviceEnds<E>& ends, View<const std::int32_t> ids);
/// What is multiplied with the head, see model::head_input; [tokens x embedding_width] in E.
template <class E>
device::DeviceMatrix<E> head_input(const device::Context& gpu, const ModelSpec& spec,
                                   const DeviceEnds<E>& ends, DeviceView<const float> hidden);

}  // namespace constrictor::model
