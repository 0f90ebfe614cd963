// SPDX-License-Identifier: Apache-2.0
// Facts from the readers' own sources: vLLM (compressed_tensors_wNa16.py, gptq.py,
// marlin_utils.py), GPTQModel 7 (nn_modules/qlinear/torch.py), compressed-tensors 0.18 to 0.20,
// looked up in 2026.
#include "export/runtimes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "export/scales.hpp"

namespace constrictor::exports {
namespace {

template <std::size_t n>
bool is_among(Index value, const std::array<Index, n>& list) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Layers that vLLM fuses into one must be stored alike.
bool fused_layers_differ(const std::vector<LayerPlan>& plans) {
  std::map<std::pair<Index, int>, std::set<io::StoredScheme>> schemes;
  for (const LayerPlan& plan : plans) {
    const bool attention =
        plan.role == Role::query || plan.role == Role::key || plan.role == Role::value;
    if (attention || plan.role == Role::gate || plan.role == Role::up)
      schemes[{plan.block, attention ? 0 : 1}].insert(plan.scheme);
  }
  return std::any_of(schemes.begin(), schemes.end(),
                     [](const auto& entry) { return entry.second.size() > 1; });
}

constexpr const char* differ =
    "layers that it fuses (q, k and v; gate and up) are stored differently";

std::string bits_text(int bits) { return std::to_string(bits) + " bits"; }

Verdict vllm_compressed_tensors(const std::vector<LayerPlan>& plans) {
  const auto no = [](std::string why) { return Verdict{"vLLM", false, std::move(why)}; };
  if (fused_layers_differ(plans)) return no(differ);
  bool recent = false, eight = false;
  for (const LayerPlan& plan : plans) {
    const auto& [bits, group_size, symmetric] = plan.scheme;
    const bool usual = bits == 4 || bits == 8;
    if (!usual && !symmetric)
      return no("asymmetric " + bits_text(bits) + "; it takes 4 and 8 bits, others symmetric only");
    if (!is_among<4>(group_size, {0, 32, 64, 128}))
      return no("groups of " + std::to_string(group_size) +
                "; its kernels take 32, 64, 128 and whole rows");
    recent |= !usual;
    eight |= bits == 8 && !symmetric;
  }
  if (recent) return {"vLLM", true, "if it is recent; older ones take 4 and 8 bits only"};
  if (eight) return {"vLLM", true, "where a kernel for asymmetric 8 bits is at hand"};
  return {"vLLM", true, ""};
}

Verdict vllm_gptq(const std::vector<LayerPlan>& plans) {
  if (fused_layers_differ(plans)) return {"vLLM", false, differ};
  for (const LayerPlan& plan : plans)
    if (!is_among<4>(plan.scheme.bits, {2, 3, 4, 8}))
      return {"vLLM", false, bits_text(plan.scheme.bits) + "; it takes 2, 3, 4 and 8"};
  for (const LayerPlan& plan : plans)
    if (!plan.scheme.symmetric || plan.scheme.bits < 4)
      return {"vLLM", true, "with --dtype float16"};
  return {"vLLM", true, ""};
}

Verdict gptqmodel_gptq(const std::vector<LayerPlan>& plans, const std::string& runtime) {
  const auto no = [&](std::string why) { return Verdict{runtime, false, std::move(why)}; };
  for (const LayerPlan& plan : plans) {
    if (!is_among<4>(plan.scheme.bits, {2, 3, 4, 8}))
      return no(bits_text(plan.scheme.bits) + "; it takes 2, 3, 4 and 8");
    if (!is_among<8>(plan.scheme.group_size, {0, 16, 32, 64, 128, 256, 512, 1024}))
      return no("groups of " + std::to_string(plan.scheme.group_size) +
                "; it takes 16, 32, 64, 128, 256, 512, 1024 and whole rows");
    if (plan.in % 32 != 0 || plan.out % 32 != 0)
      return no(plan.words() + " has " + std::to_string(plan.out) + " x " +
                std::to_string(plan.in) + " weights; it takes multiples of 32");
  }
  return {runtime, true, runtime == "Transformers" ? "through GPTQModel" : ""};
}

/// Transformers 5.24 with compressed-tensors 0.20 prepares asymmetric layers for unpacked zero points
/// and fails to load packed ones, unless it dequantizes right away; that it does by the first group of
/// the configuration whatever the layer.
Verdict transformers_compressed_tensors(const std::vector<LayerPlan>& plans) {
  std::string words = "through the package compressed-tensors";
  bool dense = false, asymmetric = false;
  for (const LayerPlan& plan : plans) {
    dense |= 32 % plan.scheme.bits != 0;
    asymmetric |= !plan.scheme.symmetric;
  }
  if (dense) words += " 0.18 or later";
  if (asymmetric && schemes_of(plans).size() > 1)
    return {"Transformers", false, "asymmetric layers, and more than one kind of layers"};
  if (asymmetric) words += ", asking for CompressedTensorsConfig(dequantize=True)";
  return {"Transformers", true, words};
}

}  // namespace

std::vector<Verdict> verdicts(const std::string& format, const std::vector<LayerPlan>& plans) {
  if (format == "dequantized")
    return {{"vLLM", true, ""},
            {"GPTQModel", false, "nothing in it is quantized any more"},
            {"Transformers", true, ""}};
  if (format == "gptq")
    return {vllm_gptq(plans), gptqmodel_gptq(plans, "GPTQModel"),
            gptqmodel_gptq(plans, "Transformers")};
  return {vllm_compressed_tensors(plans),
          {"GPTQModel", false, "it reads the format gptq"},
          transformers_compressed_tensors(plans)};
}

}  // namespace constrictor::exports
