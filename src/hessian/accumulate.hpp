// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "core/bfloat16.hpp"
#include "data/block_sums.hpp"
#include "data/block_trace.hpp"
#include "hessian/softmax_metric.hpp"

namespace constrictor::hessian {

/// Adds one chunk of whole sequences to the sums; the first one overwrites them.
///   quant     what the block saw behind already quantized blocks (x~)
///   full      what it saw in the full-precision model (x); null without drift
///             (first block: both are the same, and the drift is exactly zero)
///   length    tokens of a sequence
///   metric    with shape.softmax_metric
///   products  bfloat16: the layers' inputs hold bfloat16 values, whose products are exact in
///   float32
void accumulate(const SumShape& shape, const BlockTrace& quant, const BlockTrace* full,
                Index length, Products products, BlockSums& sums,
                const SoftmaxMetric* metric = nullptr);

}  // namespace constrictor::hessian
