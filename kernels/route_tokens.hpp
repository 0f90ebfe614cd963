// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "core/matrix.hpp"

namespace constrictor::kernels {

/// The experts of every token (Mixtral, arXiv 2401.04088; Qwen3): p = softmax(S_t), the k largest
/// p_e in falling order, ties to the lower number.
///
///   S        [tokens x experts]  in: the router's scores
///   experts  [tokens x k]        out: numbers of the chosen experts
///   share    [tokens x k]        out: p_e, divided by their sum over the chosen ones where
///                                     `renormalize`
void route_tokens(View<const float> S, bool renormalize, View<std::int32_t> experts,
                  View<float> share);

}  // namespace constrictor::kernels
