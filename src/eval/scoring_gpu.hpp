// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "device/device_matrix.hpp"
#include "eval/continuation.hpp"

namespace constrictor::eval {

/// Windows whose logits are formed together: about 2048 tokens. Windows that come in whole groups
/// of as many (a last, smaller group apart) get the same bits in however many calls they are
/// scored.
Index windows_scored_together(Index length);

/// eval::score_windows on the device. Logits exist for some tokens and a piece of the vocabulary at
/// a time; log sums, divergence and the largest logit are carried along from piece to piece.
///   head         [vocabulary x width]
///   full, quant  [windows * length x width] head inputs; `full` without rows: only `nll`
///   ids          [windows x length], host
///   soft_cap     of the logits, 0: none
/// Waits for the device.
template <class E>
std::vector<WindowScore> score_windows(const device::Context& gpu, DeviceView<const E> head,
                                       DeviceView<const E> full, DeviceView<const E> quant,
                                       View<const std::int32_t> ids, float soft_cap);

/// eval::score_tokens on the device, in the same pieces.
///   head  [vocabulary x width]
///   x     [tokens x width] head inputs
/// Waits for the device.
template <class E>
std::vector<TokenScore> score_tokens(const device::Context& gpu, DeviceView<const E> head,
                                     DeviceView<const E> x, std::span<const std::int32_t> targets,
                                     float soft_cap);

}  // namespace constrictor::eval
