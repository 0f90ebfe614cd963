// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/json_section.hpp"
#include "io/mapped_file.hpp"
#include "io/quantization_config.hpp"

namespace constrictor::io {
namespace {

using Json = nlohmann::ordered_json;

Json compressed_tensors_json(const QuantizationConfig& config) {
  Json groups = Json::object();
  for (std::size_t i = 0; i < config.groups.size(); ++i) {
    const auto& [targets, scheme] = config.groups[i];
    const bool grouped = scheme.group_size > 0;
    groups["group_" + std::to_string(i)] = {
        {"targets", targets},
        {"weights",
         {{"num_bits", scheme.bits},
          {"type", "int"},
          {"symmetric", scheme.symmetric},
          {"strategy", grouped ? "group" : "channel"},
          {"group_size", grouped ? Json(scheme.group_size) : Json()},
          {"dynamic", false},
          {"actorder", nullptr},
          {"block_structure", nullptr},
          {"observer", "memoryless_minmax"},
          {"observer_kwargs", Json::object()}}},
        {"input_activations", nullptr},
        {"output_activations", nullptr}};
  }
  return {{"quant_method", "compressed-tensors"},
          {"format", "pack-quantized"},
          {"quantization_status", "compressed"},
          {"ignore", config.ignore},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr},
          {"config_groups", groups}};
}

Json stored_group_size(const StoredScheme& scheme) {
  return scheme.group_size > 0 ? Json(scheme.group_size) : Json(-1);
}

Json gptq_json(const QuantizationConfig& config, const QuantizerFacts& facts) {
  const char* format = config.zero_minus_one ? "gptq" : "gptq_v2";
  Json json = {{"bits", config.base.bits},
               {"group_size", stored_group_size(config.base)},
               {"desc_act", false},
               {"sym", config.base.symmetric},
               {"lm_head", false},
               {"quant_method", "gptq"},
               {"checkpoint_format", format},
               {"format", format},
               {"pack_dtype", "int32"},
               {"meta",
                {{"quantizer", Json::array({facts.program})},
                 {"damp_percent", facts.damping},
                 {"static_groups", false},
                 {"true_sequential", false}}}};
  if (config.overrides.empty()) return json;
  Json dynamic = Json::object();
  for (const auto& [expression, scheme] : config.overrides) {
    const std::string key = (scheme ? "+:" : "-:") + expression;
    dynamic[key] = Json::object();
    if (scheme)
      dynamic[key] = {{"bits", scheme->bits},
                      {"group_size", stored_group_size(*scheme)},
                      {"sym", scheme->symmetric}};
  }
  json["dynamic"] = dynamic;
  return json;
}

}  // namespace

void write_model_config(const std::filesystem::path& source_folder,
                        const std::filesystem::path& folder,
                        const std::optional<QuantizationConfig>& quantization,
                        const QuantizerFacts& facts) {
  const MappedFile file(source_folder / "config.json");
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  if (!quantization) return write_text_atomically(folder / "config.json", text);
  Json json = quantization->packing == Packing::gptq ? gptq_json(*quantization, facts)
                                                     : compressed_tensors_json(*quantization);
  if (quantization->packing == Packing::gptq)
    write_text_atomically(folder / "quantize_config.json", json.dump(2) + "\n");
  Json config = Json::parse(text);  // valid: the checkpoint was opened by it
  config["quantization_config"] = std::move(json);
  write_text_atomically(folder / "config.json", config.dump(2) + "\n");
}

}  // namespace constrictor::io
