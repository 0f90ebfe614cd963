// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/specs.hpp"
#include "eval/sampling.hpp"

namespace constrictor::pipeline {

struct GenerateOptions {
  std::string run_dir;               // a finished run; empty: the model as it is
  std::vector<std::int32_t> prompt;  // token ids, at least one
  std::vector<std::int32_t> stops;   // tokens that end the text, after they were told
  Index tokens = 64;                 // to be told at most
  eval::SamplingSettings sampling;
};

/// Tells the tokens that follow the prompt, one by one, each fed back to the model. All blocks lie
/// in memory with their quantized weights, keys and values of earlier tokens are kept. Uses
/// spec.model and spec.run. UserError when prompt and model do not fit, MemoryError when the
/// weights do not.
void generate(const RunSpec& spec, const GenerateOptions& options,
              const std::function<void(std::int32_t token)>& tell);

}  // namespace constrictor::pipeline
