// SPDX-License-Identifier: Apache-2.0
#include "io/tensor_names.hpp"

#include <algorithm>
#include <utility>

namespace constrictor::io {
namespace {

/// The name with an expert's number in place of '#'.
std::string numbered(std::string name, Index expert) {
  return name.replace(name.find('#'), 1, std::to_string(expert));
}

}  // namespace

std::vector<LayerShape> layer_shapes(const ModelSpec& spec) {
  const families::Names& names = families::of(spec).names;
  const Index hidden = spec.hidden, queries = spec.heads * spec.head_dim,
              keys = spec.kv_heads * spec.head_dim, wide = spec.feed_forward;
  std::vector<LayerShape> layers = {
      {names.query, Role::query, queries, hidden, spec.qkv_bias},
      {names.key, Role::key, keys, hidden, spec.qkv_bias},
      {names.value, Role::value, keys, hidden, spec.qkv_bias},
      {names.output, Role::output, hidden, queries, spec.output_bias}};
  for (Index e = 0; e < std::max<Index>(spec.experts, 1); ++e) {
    const auto add = [&](const std::string& name, Role role, Index out, Index in) {
      layers.push_back({spec.experts > 0 ? numbered(name, e) : name, role, out, in, spec.mlp_bias,
                        spec.experts > 0 ? e : -1});
    };
    if (spec.gated) add(names.gate, Role::gate, wide, hidden);
    add(names.up, Role::up, wide, hidden);
    add(names.down, Role::down, hidden, wide);
  }
  return layers;
}

TensorNames::TensorNames(const ModelSpec& spec, std::string prefix)
    : spec_(spec), family_(families::of(spec).names), prefix_(std::move(prefix)) {}

const std::vector<std::string>& TensorNames::prefixes(const ModelSpec& spec) {
  return families::of(spec).names.prefixes;
}

std::string TensorNames::in_block(Index block, const std::string& name) const {
  return prefix_ + "layers." + std::to_string(block) + "." + name;
}

NormNames TensorNames::norm(const std::string& name) const {
  return {name + ".weight", spec_.norm_style == NormStyle::layer ? name + ".bias" : ""};
}

std::vector<BlockNorm> TensorNames::norms(Index block) const {
  std::vector<BlockNorm> all;
  const auto add = [&](Norm Block::*place, const std::string& name, Index width) {
    if (!name.empty()) all.push_back({place, norm(in_block(block, name)), width});
  };
  add(&Block::attention_norm, family_.attention_norm, spec_.hidden);
  add(&Block::mlp_norm, family_.mlp_norm, spec_.hidden);
  add(&Block::attention_post_norm, family_.attention_post_norm, spec_.hidden);
  add(&Block::mlp_post_norm, family_.mlp_post_norm, spec_.hidden);
  add(&Block::query_norm, family_.query_norm, spec_.head_dim);
  add(&Block::key_norm, family_.key_norm, spec_.head_dim);
  return all;
}

std::string TensorNames::router(Index block) const {
  return in_block(block, family_.router + ".weight");
}

EndNames TensorNames::ends() const {
  EndNames names;
  const auto weight = [&](const std::string& name) {
    return name.empty() ? "" : prefix_ + name + ".weight";
  };
  names.token_embedding = weight(family_.token_embedding);
  names.position_embedding = weight(family_.position_embedding);
  if (!spec_.tied_embeddings) names.lm_head = "lm_head.weight";
  if (spec_.embedding_width != spec_.hidden) {
    names.project_in = weight(family_.project_in);
    names.project_out = weight(family_.project_out);
  }
  if (spec_.final_norm) names.final_norm = norm(prefix_ + family_.final_norm);
  return names;
}

std::vector<ExpectedTensor> TensorNames::expected_in_block(Index block) const {
  std::vector<ExpectedTensor> expected;
  for (const LayerShape& layer : layer_shapes(spec_)) {
    expected.push_back({in_block(block, layer.name + ".weight"), {layer.out, layer.in}});
    if (layer.bias) expected.push_back({in_block(block, layer.name + ".bias"), {layer.out}});
  }
  if (spec_.experts > 0) expected.push_back({router(block), {spec_.experts, spec_.hidden}});
  for (const BlockNorm& found : norms(block)) {
    expected.push_back({found.names.weight, {found.width}});
    if (!found.names.bias.empty()) expected.push_back({found.names.bias, {found.width}});
  }
  return expected;
}

std::vector<ExpectedTensor> TensorNames::expected_in_ends() const {
  const EndNames names = ends();
  const Index hidden = spec_.hidden, width = spec_.embedding_width;
  // OPT's table starts with two rows that stand for padding: position p is row p + 2.
  const std::vector<ExpectedTensor> all = {
      {names.token_embedding, {spec_.vocabulary, width}},
      {names.position_embedding, {spec_.max_positions + 2, hidden}},
      {names.project_in, {hidden, width}},
      {names.project_out, {width, hidden}},
      {names.final_norm.weight, {hidden}},
      {names.final_norm.bias, {hidden}},
      {names.lm_head, {spec_.vocabulary, width}}};
  std::vector<ExpectedTensor> expected;
  for (const ExpectedTensor& tensor : all)
    if (!tensor.name.empty()) expected.push_back(tensor);
  return expected;
}

}  // namespace constrictor::io
