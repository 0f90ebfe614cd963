// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside of device_memory_*.cpp: what the device's memory is needed for, and what lowers the need.
#include <array>

namespace constrictor::pipeline::device_memory {

/// A row of the table, and what to do when it is too large.
struct Kind {
  const char* what;
  const char* advice;
};
inline constexpr Kind weights_of{"weights of blocks", "use a device with more memory"};
inline constexpr Kind sums_of{"sums of statistics",
                              "use run.reduction: fast, more ranks, or quant.value_hessian: input"};
inline constexpr Kind packed_of{"sums on their way", "use run.reduction: exact on more ranks"};
inline constexpr Kind chunk_of{"a chunk of tokens",
                               "use more run.lanes (shorter chunks) or shorter sequences"};
inline constexpr Kind attention_of{"attention probabilities", "use shorter sequences"};
inline constexpr Kind sides_of{"factored Hessians",
                               "use quant.value_hessian: input, or quant.drift: none"};
inline constexpr Kind factor_of{"one factorization", "use a device with more memory"};
inline constexpr Kind rows_of{"rows in work", "use a device with more memory"};
inline constexpr Kind ends_of{"embedding and head", "use a device with more memory"};
inline constexpr Kind logits_of{"logits", "use shorter evaluation windows"};
inline constexpr Kind libraries_of{"libraries", "use a device with more memory"};
inline constexpr std::array kinds = {weights_of,   sums_of,   packed_of,   chunk_of,
                                     attention_of, sides_of,  factor_of,   rows_of,
                                     ends_of,      logits_of, libraries_of};

}  // namespace constrictor::pipeline::device_memory
