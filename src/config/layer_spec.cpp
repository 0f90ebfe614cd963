// SPDX-License-Identifier: Apache-2.0
#include "config/layer_spec.hpp"

#include <algorithm>

#include "config/presets.hpp"
#include "config/read_fields.hpp"

namespace constrictor::config {

bool matches(std::string_view pattern, std::string_view name) {
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  if (pattern.substr(0, star) != name.substr(0, star)) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t skip = star; skip <= name.size(); ++skip)
    if (matches(rest, name.substr(skip))) return true;
  return false;
}

namespace {

void require_zeros_free(const QuantSpec& spec, const std::string& layer_name) {
  if (spec.refine_zeros && spec.symmetric)
    throw UserError("quant.refine_zeros: true needs quant.symmetric: false, but it is true for " +
                    layer_name);
}

/// Sequential drift corrects later columns with the weights that one path of codes has left.
void require_beam_fits_drift(const QuantSpec& spec, const std::string& layer_name) {
  if (spec.beam > 1 && spec.method == Method::aespa)
    throw UserError("quant.beam: " + std::to_string(spec.beam) +
                    " does not go with quant.method: aespa, which " + layer_name +
                    " has: learning starts from the one sweep of beam: 1");
  if (spec.beam == 1 || spec.drift != Drift::sequential) return;
  throw UserError("quant.beam: " + std::to_string(spec.beam) +
                  " needs quant.drift: none or exact, but it is sequential for " + layer_name);
}

}  // namespace

QuantSpec layer_spec(const QuantSpec& quant, Index block, const std::string& layer_name) {
  const std::string full_name = std::to_string(block) + "." + layer_name;
  QuantSpec spec = quant;
  spec.overrides.clear();
  for (const auto& [pattern, values] : quant.overrides) {
    if (!matches(pattern, layer_name) && !matches(pattern, full_name)) continue;
    DeckNode node;
    node.kind = DeckNode::Kind::mapping;
    node.where = "quant.layers";
    for (const auto& [key, text] : values) {
      DeckNode value;
      value.kind = DeckNode::Kind::scalar;
      value.where = node.where;
      value.text = text;
      node.entries.emplace_back(key, std::move(value));
    }
    if (const auto method = values.find("method"); method != values.end())
      if (const auto wanted = parse_word<Method>(method->second); wanted && *wanted != spec.method)
        apply_preset(*wanted, spec);
    ReadFields reader(Section(node, pattern));
    visit_layer_keys(reader, spec);
    reader.finish();
  }
  require_zeros_free(spec, layer_name);
  require_beam_fits_drift(spec, layer_name);
  return spec;
}

void require_patterns_match(const QuantSpec& quant, const std::vector<std::string>& full_names) {
  for (const auto& [pattern, values] : quant.overrides) {
    std::vector<std::string> names;  // without the block, each once, for the message
    bool found = false;
    for (const std::string& full_name : full_names) {
      const std::string name = full_name.substr(full_name.find('.') + 1);
      found = found || matches(pattern, full_name) || matches(pattern, name);
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    if (found) continue;
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    throw UserError("quant.layers: '" + pattern + "' matches no layer; layers are " + list +
                    ", with the block in front (3." + (names.empty() ? "name" : names.front()) +
                    ") or '*' where wanted");
  }
}

void require_groups_fit(const QuantSpec& spec, const std::string& layer_name, Index inputs) {
  if (spec.group_size == 0 || inputs % spec.group_size == 0) return;
  throw UserError("quant.group_size: " + std::to_string(spec.group_size) + " does not divide the " +
                  std::to_string(inputs) + " inputs of " + layer_name);
}

void require_device_can(const std::string& device, const QuantSpec& spec,
                        const std::string& layer_name) {
  if (device != "cuda") return;
  const char* missing = spec.method == Method::aespa            ? "quant.method: aespa"
                        : spec.refine_zeros                     ? "quant.refine_zeros"
                        : spec.row_metric == RowMetric::softmax ? "quant.row_metric: softmax"
                                                                : nullptr;
  if (missing != nullptr)
    throw UserError(std::string("run.device: cuda has no ") + missing + " yet, which " +
                    layer_name + " asks for; use run.device=cpu");
}

}  // namespace constrictor::config
