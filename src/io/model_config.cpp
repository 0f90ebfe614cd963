// SPDX-License-Identifier: Apache-2.0
#include "io/model_config.hpp"

#include <algorithm>
#include <cmath>
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

/// One dictionary: its type stands under "rope_type", earlier "type".
RopeSpec read_rope(const JsonSection& scaling, RopeSpec rope, Index max_positions) {
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

/// The dictionary is called rope_scaling, or rope_parameters in files of Transformers 5 (which
/// holds rope_theta too, and one dictionary a kind of block where those differ).
void read_ropes(const JsonSection& config, const families::Family& family, ModelSpec& spec) {
  spec.rope.theta = config.number_or("rope_theta", family.rope_theta);
  require_positive(config, "rope_theta", spec.rope.theta);
  const bool local = !family.local_rope_theta.key.empty();
  if (local) {
    spec.local_rope.emplace();
    spec.local_rope->theta = read(config, family.local_rope_theta);
    require_positive(config, family.local_rope_theta.key, spec.local_rope->theta);
  }
  const char* name = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(name)) return;
  const JsonSection scaling = config.section(name);
  if (local && scaling.has("sliding_attention"))
    spec.local_rope =
        read_rope(scaling.section("sliding_attention"), *spec.local_rope, spec.max_positions);
  const bool apart = local && scaling.has("full_attention");
  spec.rope =
      read_rope(apart ? scaling.section("full_attention") : scaling, spec.rope, spec.max_positions);
}

/// Which blocks see a window: listed in newer files, else by the family's rule.
void read_window(const JsonSection& config, const families::Family& family, ModelSpec& spec) {
  using families::WindowRule;
  const families::Window& window = family.window;
  if (window.rule == WindowRule::none) return;
  if (!window.use_key.empty() && !config.flag_or(window.use_key, false)) return;
  if (config.is_null(window.key)) return;
  spec.window = config.size_or(window.key, window.fallback);
  if (window.rule == WindowRule::all) return;
  if (config.has("layer_types")) {
    const auto types = config.texts("layer_types");
    if (static_cast<Index>(types.size()) != spec.blocks)
      config.refuse("\"layer_types\" lists " + std::to_string(types.size()) + " layers, but " +
                    "num_hidden_layers is " + std::to_string(spec.blocks));
    for (const std::string& type : types) {
      if (type != "sliding_attention" && type != "full_attention")
        config.refuse("\"layer_types\" holds " + printable(type) +
                      "; supported are sliding_attention and full_attention");
      spec.sliding.push_back(type == "sliding_attention");
    }
    return;
  }
  const Index count =
      window.count_key.empty() ? window.count : config.size_or(window.count_key, window.count);
  for (Index b = 0; b < spec.blocks; ++b)
    spec.sliding.push_back(window.rule == WindowRule::from_block ? b >= count
                                                                 : (b + 1) % count != 0);
}

/// 0 where the key is null.
double read_or_none(const JsonSection& config, const families::NumberKey& key) {
  if (key.key.empty() || config.is_null(key.key)) return key.key.empty() ? key.fallback : 0;
  const double value = config.number_or(key.key, key.fallback);
  if (!(value >= 0)) config.refuse(config.quoted(key.key) + " must be above 0, or null");
  return value;
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
  for (const std::string& key : family.unsupported)
    if (config.has(key))
      config.refuse(config.quoted(key) + " other than null is not supported for this model_type");
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

ModelSpec read_model_config(const std::filesystem::path& path, Codes codes) {
  const JsonSection config(path, read_json(path));
  const families::Family& family = family_of(config);
  require_architecture(config, family.architecture);
  if (codes == Codes::refused && config.has("quantization_config"))
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
  if (family.rotary) read_ropes(config, family, spec);
  read_window(config, family, spec);
  spec.query_pre_attention = read_or_none(config, family.query_pre_attention);
  spec.attention_soft_cap = read_or_none(config, family.attention_soft_cap);
  spec.final_soft_cap = read_or_none(config, family.final_soft_cap);
  if (family.scaled_embeddings) spec.embedding_scale = std::sqrt(static_cast<double>(spec.hidden));

  spec.norm_style = family.norm_style;
  spec.norm_eps = read(config, family.norm_eps);
  require_positive(config, family.norm_eps.key, spec.norm_eps);
  spec.norm_before = read(config, family.norm_before);
  spec.norm_after = !family.names.attention_post_norm.empty();
  spec.qk_norm = !family.names.query_norm.empty();
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
