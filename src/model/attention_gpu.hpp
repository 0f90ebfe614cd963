// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/attention_form.hpp"
#include "data/model_spec.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::model {

/// model::attention on the device, every head over all sequences at once; scores and sums in
/// float32, factors of products (probabilities too) in E.
///   query, result  [tokens x heads * head_dim]
///   key, value     [tokens x kv_heads * head_dim]
/// Scratch: scores and probabilities of one head, a tile of queries and some sequences
/// (linalg::attention_sequences).
template <class E>
device::DeviceMatrix<E> attention(const device::Context& gpu, const ModelSpec& spec,
                                  const AttentionForm& form, Index length,
                                  DeviceView<const E> query, DeviceView<const E> key,
                                  DeviceView<const E> value);

}  // namespace constrictor::model
