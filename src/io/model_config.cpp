// SPDX-License-Identifier: Apache-2.0
#include "io/model_config.hpp"

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "io/json_section.hpp"
#include "io/safetensors_header.hpp"

namespace constrictor::io {
namespace {

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
RopeSpec read_rope(const JsonSection& config, Index max_positions) {
  RopeSpec rope;
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

void read_heads(const JsonSection& config, ModelSpec& spec) {
  spec.heads = config.size("num_attention_heads");
  spec.kv_heads =
      spec.family == Family::llama ? config.size_or("num_key_value_heads", spec.heads) : spec.heads;
  if (spec.heads % spec.kv_heads != 0)
    config.refuse("num_attention_heads " + std::to_string(spec.heads) +
                  " is not a multiple of num_key_value_heads " + std::to_string(spec.kv_heads));
  const bool given = spec.family == Family::llama && config.has("head_dim");
  if (!given && spec.hidden % spec.heads != 0)
    config.refuse("hidden_size " + std::to_string(spec.hidden) +
                  " is not a multiple of num_attention_heads " + std::to_string(spec.heads));
  spec.head_dim = given ? config.size("head_dim") : spec.hidden / spec.heads;
}

ModelSpec read_llama(const JsonSection& config, ModelSpec spec) {
  spec.family = Family::llama;
  spec.feed_forward = config.size("intermediate_size");
  read_heads(config, spec);
  if (spec.head_dim % 2 != 0)
    config.refuse("the width of a head, " + std::to_string(spec.head_dim) +
                  ", is odd, which rotary positions do not allow");
  spec.embedding_width = spec.hidden;
  spec.norm_eps = config.number_or("rms_norm_eps", 1e-6);  // the default of Transformers
  require_positive(config, "rms_norm_eps", spec.norm_eps);
  spec.rope = read_rope(config, spec.max_positions);
  spec.tied_embeddings = config.flag_or("tie_word_embeddings", false);
  const std::string activation = config.text_or("hidden_act", "silu");
  if (activation != "silu" && activation != "swish")
    config.refuse("\"hidden_act\" is " + printable(activation) + "; supported is silu");
  spec.activation = "silu";
  spec.attention_bias = config.flag_or("attention_bias", false);
  spec.mlp_bias = config.flag_or("mlp_bias", false);
  return spec;
}

ModelSpec read_opt(const JsonSection& config, ModelSpec spec) {
  spec.family = Family::opt;
  spec.feed_forward = config.size("ffn_dim");
  read_heads(config, spec);
  spec.embedding_width = config.size_or("word_embed_proj_dim", spec.hidden);
  spec.norm_eps = 1e-5;  // torch's LayerNorm; OPT has no key for it
  spec.tied_embeddings = config.flag_or("tie_word_embeddings", true);
  spec.norm_before = config.flag_or("do_layer_norm_before", true);
  spec.final_norm = spec.norm_before && !config.flag_or("_remove_final_layer_norm", false);
  if (!config.flag_or("layer_norm_elementwise_affine", true))
    config.refuse("\"layer_norm_elementwise_affine\": false is not supported");
  spec.activation = config.text_or("activation_function", "relu");
  if (spec.activation != "relu")
    config.refuse("\"activation_function\" is " + printable(spec.activation) +
                  "; supported is relu");
  spec.attention_bias = spec.mlp_bias = config.flag_or("enable_bias", true);
  return spec;
}

}  // namespace

ModelSpec read_model_config(const std::filesystem::path& path) {
  const JsonSection config(path, read_json(path));
  const std::string type = config.text("model_type");
  if (type != "llama" && type != "opt")
    config.refuse("\"model_type\" is " + printable(type) + "; supported are llama and opt");
  require_architecture(config, type == "llama" ? "LlamaForCausalLM" : "OPTForCausalLM");
  if (config.has("quantization_config"))
    config.refuse(
        "the model is quantized already (\"quantization_config\"); give the original one");
  ModelSpec spec;
  spec.blocks = config.size("num_hidden_layers");
  spec.hidden = config.size("hidden_size");
  spec.vocabulary = config.size("vocab_size");
  spec.max_positions = config.size("max_position_embeddings");
  return type == "llama" ? read_llama(config, spec) : read_opt(config, spec);
}

}  // namespace constrictor::io
