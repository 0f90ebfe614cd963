// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of model/*_gpu.cpp: the block function behind `forward`.
#include "model/forward_gpu.hpp"

namespace constrictor::model {

/// The arguments of `forward`, all but the hidden states.
template <class E>
struct DeviceStep {
  const device::Context& gpu;
  const ModelSpec& spec;
  const DeviceBlock<E>& block;
  Index length;
  Keep keep;
  Until until;

  /// Frees a matrix that the caller did not ask to keep.
  void done_with(device::DeviceMatrix<E>& matrix) const {
    if (keep == Keep::output_only) matrix = {};
  }
};

template <class E>
DeviceTrace<E> decoder_block(const DeviceStep<E>& step, DeviceView<const float> hidden);

}  // namespace constrictor::model
