// SPDX-License-Identifier: Apache-2.0
#include "io/model_config.hpp"

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "families/family.hpp"
#include "io/json_section.hpp"
#include "io/safetensors_header.hpp"

namespace constrictor::io {
namespace {

Index read(const JsonSection& config, const families::SizeKey& key, Index otherwise) {
  const Index fallback = key.fallback > 0 ? key.fallback : otherwise;
  return key.key.empty() ? fallback : config.size_or(key.key, fallback);
}
double read(const JsonSection& config, const families::NumberKey& key) {
  return key.key.empty() ? key.fallback : config.number_or(key.key, key.fallback);
}
bool read(const JsonSection& config, const families::FlagKey& key) {
  return key.key.empty() ? key.fallback : config.flag_or(key.key, key.fallback);
}

void require_positive(const JsonSection& config, std::string_view key, double value) {
  if (!(value > 0)) config.refuse(config.quoted(key) + " must be above 0");
}

void require_architecture(const JsonSection& config, const std::string& wanted) {
  if (!config.has("architectures")) return;
  const nlohmann::json& listed = config.object().at("architectures");
  if (!listed.is_array() || std::find(listed.begin(), listed.end(), wanted) == listed.end())
    config.refuse("\"architectures\" does not list " + wanted);
}

/// The dictionary is called rope_scaling, or rope_parameters in files of Transformers 5 (which
/// holds rope_theta too); its type stands under "rope_type", earlier "type".
RopeSpec read_rope(const JsonSection& config, double theta, Index max_positions) {
  RopeSpec rope;
  rope.theta = theta;
  rope.theta = config.number_or("rope_theta", rope.theta);
  const char* name = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(name)) {
    require_positive(config, "rope_theta", rope.theta);
    return rope;
  }
  const JsonSection scaling = config.section(name);
  rope.theta = scaling.number_or("rope_theta", rope.theta);
  require_positive(scaling, "rope_theta", rope.theta);
  if (scaling.number_or("partial_rotary_factor", 1.0) != 1.0)
    scaling.refuse(scaling.quoted("partial_rotary_factor") + " other than 1 is not supported");
  const std::string type =
      scaling.has("rope_type") ? scaling.text("rope_type") : scaling.text_or("type", "default");
  if (type == "default") return rope;
  if (type != "linear" && type != "llama3")
    scaling.refuse(scaling.quoted("rope_type") + " is " + printable(type) +
                   "; supported are default, linear and llama3");
  rope.factor = scaling.number("factor");
  require_positive(scaling, "factor", rope.factor);
  rope.scaling = RopeScaling::linear;
  if (type == "linear") return rope;

  rope.scaling = RopeScaling::llama3;
  rope.low_freq_factor = scaling.number("low_freq_factor");
  rope.high_freq_factor = scaling.number("high_freq_factor");
  rope.original_max_positions = scaling.size_or("original_max_position_embeddings", max_positions);
  require_positive(scaling, "low_freq_factor", rope.low_freq_factor);
  if (!(rope.high_freq_factor > rope.low_freq_factor))
    scaling.refuse(scaling.quoted("high_freq_factor") + " must be above low_freq_factor");
  return rope;
}

void read_heads(const JsonSection& config, const families::Family& family, ModelSpec& spec) {
  spec.heads = config.size("num_attention_heads");
  spec.kv_heads = read(config, family.kv_heads, spec.heads);
  if (spec.heads % spec.kv_heads != 0)
    config.refuse("num_attention_heads " + std::to_string(spec.heads) +
                  " is not a multiple of num_key_value_heads " + std::to_string(spec.kv_heads));
  spec.head_dim = read(config, family.head_dim, -1);
  if (spec.head_dim < 0) {
    if (spec.hidden % spec.heads != 0)
      config.refuse("hidden_size " + std::to_string(spec.hidden) +
                    " is not a multiple of num_attention_heads " + std::to_string(spec.heads));
    spec.head_dim = spec.hidden / spec.heads;
  }
  if (family.rotary && spec.head_dim % 2 != 0)
    config.refuse("the width of a head, " + std::to_string(spec.head_dim) +
                  ", is odd, which rotary positions do not allow");
}

void check_activation(const JsonSection& config, const families::Family& family) {
  const auto& words = family.activation_words;
  const std::string word = config.text_or(family.activation_key, words.front());
  if (std::find(words.begin(), words.end(), word) == words.end())
    config.refuse(config.quoted(family.activation_key) + " is " + printable(word) +
                  "; supported is " + words.front());
}

void check_fixed(const JsonSection& config, const families::Family& family) {
  for (const families::FixedFlag& flag : family.fixed)
    if (config.flag_or(flag.key, flag.value) != flag.value)
      config.refuse(config.quoted(flag.key) + (flag.value ? ": false" : ": true") +
                    " is not supported");
}

void read_experts(const JsonSection& config, const families::Family& family, ModelSpec& spec) {
  if (family.names.router.empty()) return;
  spec.experts = read(config, family.experts, 0);
  spec.experts_per_token = read(config, family.experts_per_token, 0);
  spec.renormalize_experts = read(config, family.renormalize_experts);
  if (spec.experts_per_token < 1 || spec.experts_per_token > spec.experts)
    config.refuse(config.quoted(family.experts_per_token.key) + " must be 1 to " +
                  std::to_string(spec.experts) + ", the number of experts");
  if (config.number_or("decoder_sparse_step", 1) != 1)
    config.refuse("\"decoder_sparse_step\" other than 1, blocks without experts, is not supported");
  if (config.has("mlp_only_layers") && !config.object().at("mlp_only_layers").empty())
    config.refuse("\"mlp_only_layers\", blocks without experts, are not supported");
}

const families::Family& family_of(const JsonSection& config) {
  const std::string type = config.text("model_type");
  const families::Family* family = families::find(type);
  if (family == nullptr)
    config.refuse("\"model_type\" is " + printable(type) + "; known are " + families::known() +
                  "; missing for this one: " + families::missing_for(type));
  return *family;
}

}  // namespace

ModelSpec read_model_config(const std::filesystem::path& path) {
  const JsonSection config(path, read_json(path));
  const families::Family& family = family_of(config);
  require_architecture(config, family.architecture);
  if (config.has("quantization_config"))
    config.refuse(
        "the model is quantized already (\"quantization_config\"); give the original one");
  check_activation(config, family);
  check_fixed(config, family);

  ModelSpec spec;
  spec.family = family.model_type;
  spec.blocks = config.size("num_hidden_layers");
  spec.hidden = config.size("hidden_size");
  spec.vocabulary = config.size("vocab_size");
  spec.max_positions = config.size("max_position_embeddings");
  spec.feed_forward = config.size(family.feed_forward.key);
  read_heads(config, family, spec);
  spec.embedding_width = read(config, family.embedding_width, spec.hidden);
  spec.tied_embeddings = read(config, family.tied_embeddings);
  spec.rotary = family.rotary;
  if (family.rotary) spec.rope = read_rope(config, family.rope_theta, spec.max_positions);

  spec.norm_style = family.norm_style;
  spec.norm_eps = read(config, family.norm_eps);
  require_positive(config, family.norm_eps.key, spec.norm_eps);
  spec.norm_before = read(config, family.norm_before);
  spec.final_norm = spec.norm_before && !read(config, family.remove_final_norm);

  spec.gated = family.gated();
  spec.activation = family.activation;
  spec.qkv_bias = read(config, family.qkv_bias);
  spec.output_bias = read(config, family.output_bias);
  spec.mlp_bias = read(config, family.mlp_bias);
  read_experts(config, family, spec);
  return spec;
}

}  // namespace constrictor::io
