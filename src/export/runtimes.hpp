// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which programs will open an export, and which will not, and why: what their own readers check.

#include <string>
#include <vector>

#include "export/layer_format.hpp"

namespace constrictor::exports {

struct Verdict {
  std::string runtime;  // "vLLM"
  bool opens = true;
  std::string words;  // a condition, or the reason why not; may be empty
};

/// vLLM, GPTQModel and Transformers on a folder of this format ("compressed-tensors", ...).
std::vector<Verdict> verdicts(const std::string& format, const std::vector<LayerPlan>& plans);

}  // namespace constrictor::exports
