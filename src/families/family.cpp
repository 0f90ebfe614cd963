// SPDX-License-Identifier: Apache-2.0
#include "families/family.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.hpp"

namespace constrictor::families {

const std::vector<Family>& all() {
  static const std::vector<Family> list = {llama(), opt(),       mistral(), mixtral(), qwen2(),
                                           qwen3(), qwen3_moe(), gemma2(),  gemma3()};
  return list;
}

const Family* find(std::string_view model_type) {
  const auto& list = all();
  const auto found = std::find_if(list.begin(), list.end(), [&](const Family& family) {
    return family.model_type == model_type;
  });
  return found == list.end() ? nullptr : &*found;
}

const Family& of(const ModelSpec& spec) {
  const Family* family = find(spec.family);
  if (family == nullptr) throw Bug("a model of the unknown family " + spec.family);
  return *family;
}

std::string known() {
  std::string list;
  for (const Family& family : all()) list += (list.empty() ? "" : ", ") + family.model_type;
  return list;
}

std::string missing_for(std::string_view model_type) {
  using Entry = std::pair<std::string_view, std::string_view>;
  static constexpr std::array table = {
      Entry{"bloom", "attention with linear biases (ALiBi)"},
      Entry{"deepseek_v2", "latent attention"},
      Entry{"deepseek_v3", "latent attention"},
      Entry{"falcon", "one fused layer for query, key and value"},
      Entry{"gemma", "a description, src/families/gemma2.cpp without what is new there"},
      Entry{"gemma3", "its vision tower; save the text model alone (model_type gemma3_text)"},
      Entry{"gpt2", "transposed weights and one fused layer for query, key and value"},
      Entry{"gpt_neox", "sublayers side by side and partial rotations"},
      Entry{"mamba", "state-space layers"},
      Entry{"phi", "sublayers side by side and partial rotations"},
      Entry{"phi3", "fused layers for query, key and value and for gate and up"}};
  for (const auto& [type, missing] : table)
    if (type == model_type) return std::string(missing);
  return "a description of its features (src/families)";
}

}  // namespace constrictor::families
