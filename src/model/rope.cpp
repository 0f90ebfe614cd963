// SPDX-License-Identifier: Apache-2.0
#include "model/rope.hpp"

namespace constrictor::model {

std::vector<float> rope_frequencies(const ModelSpec& spec, Index block) {
  if (!spec.rotary) return {};
  const RopeSpec& rope =
      spec.local_rope.has_value() && slides(spec, block) ? *spec.local_rope : spec.rope;
  std::vector<float> frequencies = kernels::inverse_frequencies(spec.head_dim, rope.theta);
  switch (rope.scaling) {
    case RopeScaling::none:
      break;
    case RopeScaling::linear:
      kernels::stretch_linear(frequencies, rope.factor);
      break;
    case RopeScaling::llama3:
      kernels::stretch_llama3(frequencies, {.factor = rope.factor,
                                            .low_freq_factor = rope.low_freq_factor,
                                            .high_freq_factor = rope.high_freq_factor,
                                            .original_max_positions = rope.original_max_positions});
      break;
  }
  return frequencies;
}

kernels::RopeTable rope_table(const ModelSpec& spec, Index block, Index length) {
  return kernels::rope_table(rope_frequencies(spec, block), length);
}

}  // namespace constrictor::model
