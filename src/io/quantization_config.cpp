// SPDX-License-Identifier: Apache-2.0
#include "io/quantization_config.hpp"

#include <algorithm>
#include <regex>
#include <string_view>
#include <unordered_map>

#include "core/error.hpp"
#include "io/json_section.hpp"
#include "io/safetensors_header.hpp"

namespace constrictor::io {
namespace {

constexpr std::string_view expression_mark = "re:";

/// As Python's re.match: from the start of the name, to wherever it ends.
bool fits(const std::string& expression, const std::string& name) {
  // Compiling costs more than matching, and every layer asks for all of them.
  static thread_local std::unordered_map<std::string, std::regex> compiled;
  try {
    auto found = compiled.find(expression);
    if (found == compiled.end()) found = compiled.emplace(expression, std::regex(expression)).first;
    return std::regex_search(name, found->second, std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    throw UserError("quantization_config: " + printable(expression) +
                    " is no regular expression that can be matched");
  }
}

enum class Fit { no, class_name, expression, name };

Fit fit_of(const std::string& target, const std::string& module) {
  if (target == module) return Fit::name;
  if (target.starts_with(expression_mark))
    return fits(target.substr(expression_mark.size()), module) ? Fit::expression : Fit::no;
  return target == "Linear" ? Fit::class_name : Fit::no;
}

/// The best fit of several targets.
Fit fit_of(const std::vector<std::string>& targets, const std::string& module) {
  Fit best = Fit::no;
  for (const std::string& target : targets) best = std::max(best, fit_of(target, module));
  return best;
}

std::vector<std::string> texts(const JsonSection& section, std::string_view key) {
  std::vector<std::string> result;
  if (!section.has(key)) return result;
  const nlohmann::json& list = section.object().at(std::string(key));
  if (!list.is_array()) section.refuse(section.quoted(key) + " must be a list");
  for (const nlohmann::json& entry : list) {
    if (!entry.is_string()) section.refuse(section.quoted(key) + " must be a list of words");
    result.push_back(entry.get<std::string>());
  }
  return result;
}

int bits_of(const JsonSection& section, std::string_view key) {
  const Index bits = section.size(key);
  if (bits < 2 || bits > 8)
    section.refuse(section.quoted(key) + " is " + std::to_string(bits) +
                   "; supported are 2 to 8 bits");
  return static_cast<int>(bits);
}

/// Group sizes are above 0, or -1 (some writers: null) for a whole row.
Index group_size_of(const JsonSection& section, std::string_view key) {
  if (!section.has(key) || section.object().at(std::string(key)) == -1) return 0;
  return section.size(key);
}

void refuse_when_given(const JsonSection& section, std::string_view key, const char* what) {
  if (section.has(key) && !section.object().at(std::string(key)).empty())
    section.refuse(section.quoted(key) + " is given: " + what + " cannot be evaluated");
}

StoredScheme read_weights(const JsonSection& weights) {
  if (weights.text_or("type", "int") != "int")
    weights.refuse(weights.quoted("type") + " is " + printable(weights.text("type")) +
                   "; supported is int");
  if (weights.has("dynamic") && weights.object().at("dynamic") != false)
    weights.refuse(weights.quoted("dynamic") + " must be false");
  StoredScheme scheme;
  scheme.bits = bits_of(weights, "num_bits");
  scheme.symmetric = weights.flag_or("symmetric", true);
  scheme.group_size = group_size_of(weights, "group_size");
  const std::string strategy =
      weights.text_or("strategy", scheme.group_size > 0 ? "group" : "channel");
  if (strategy != "group" && strategy != "channel")
    weights.refuse(weights.quoted("strategy") + " is " + printable(strategy) +
                   "; supported are group and channel");
  if ((strategy == "group") != (scheme.group_size > 0))
    weights.refuse(weights.quoted("group_size") + " does not fit the strategy " + strategy);
  return scheme;
}

QuantizationConfig read_compressed_tensors(const JsonSection& section) {
  QuantizationConfig config;
  const auto require_format = [](const JsonSection& place, const std::string& format) {
    if (format != "pack-quantized")
      place.refuse(place.quoted("format") + " is " + printable(format) +
                   "; supported is pack-quantized");
  };
  refuse_when_given(section, "kv_cache_scheme", "a quantized cache");
  if (section.has("sparsity_config") &&
      section.section("sparsity_config").text_or("format", "dense") != "dense")
    section.refuse(section.quoted("sparsity_config") + " is given: sparse weights cannot be read");
  const std::string status = section.text_or("quantization_status", "compressed");
  if (status != "compressed")
    section.refuse(section.quoted("quantization_status") + " is " + printable(status) +
                   "; supported is compressed");
  const JsonSection groups = section.section("config_groups");
  for (const auto& [name, unused] : groups.object().items()) {
    const JsonSection group = groups.section(name);
    require_format(group, group.text_or("format", section.text_or("format", "pack-quantized")));
    refuse_when_given(group, "input_activations", "a model with quantized activations");
    refuse_when_given(group, "output_activations", "a model with quantized activations");
    config.groups.push_back({texts(group, "targets"), read_weights(group.section("weights"))});
  }
  if (config.groups.empty()) groups.refuse("\"config_groups\" is empty");
  config.ignore = texts(section, "ignore");
  return config;
}

QuantizationConfig read_gptq(const JsonSection& section) {
  QuantizationConfig config;
  config.packing = Packing::gptq;
  config.base = {bits_of(section, "bits"), group_size_of(section, "group_size"),
                 section.flag_or("sym", true)};
  const std::string format =
      section.text_or("checkpoint_format", section.text_or("format", "gptq"));
  if (format != "gptq" && format != "gptq_v2")
    section.refuse(section.quoted("checkpoint_format") + " is " + printable(format) +
                   "; supported are gptq and gptq_v2");
  config.zero_minus_one = format == "gptq";
  if (section.text_or("pack_dtype", "int32") != "int32")
    section.refuse(section.quoted("pack_dtype") + " must be int32");
  if (section.flag_or("lm_head", false))
    section.refuse(section.quoted("lm_head") + " is true: a quantized head cannot be read");
  if (!section.has("dynamic")) return config;
  const JsonSection dynamic = section.section("dynamic");
  for (const auto& [pattern, unused] : dynamic.object().items()) {
    const JsonSection entry = dynamic.section(pattern);
    StoredScheme scheme = config.base;
    if (entry.has("bits")) scheme.bits = bits_of(entry, "bits");
    if (entry.has("group_size")) scheme.group_size = group_size_of(entry, "group_size");
    scheme.symmetric = entry.flag_or("sym", scheme.symmetric);
    if (pattern.starts_with("-:"))
      config.overrides.emplace_back(pattern.substr(2), std::nullopt);
    else
      config.overrides.emplace_back(pattern.substr(pattern.starts_with("+:") ? 2 : 0), scheme);
  }
  return config;
}

}  // namespace

std::optional<StoredScheme> QuantizationConfig::scheme_of(const std::string& module) const {
  if (packing == Packing::gptq) {
    for (const auto& [expression, scheme] : overrides)
      if (fits(expression, module)) return scheme;
    return base;
  }
  if (fit_of(ignore, module) != Fit::no) return std::nullopt;
  Fit best = Fit::no;
  std::optional<StoredScheme> scheme;
  for (const Group& group : groups)
    if (const Fit fit = fit_of(group.targets, module); fit > best) {
      best = fit;
      scheme = group.scheme;
    }
  return scheme;
}

std::optional<QuantizationConfig> read_quantization_config(const std::filesystem::path& path) {
  const JsonSection config(path, read_json(path));
  if (!config.has("quantization_config")) return std::nullopt;
  const JsonSection section = config.section("quantization_config");
  const std::string method = section.text_or("quant_method", "nothing");
  if (method == "compressed-tensors") return read_compressed_tensors(section);
  if (method == "gptq") return read_gptq(section);
  section.refuse(section.quoted("quant_method") + " is " + printable(method) +
                 "; supported are compressed-tensors and gptq");
}

}  // namespace constrictor::io
