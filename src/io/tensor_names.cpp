// SPDX-License-Identifier: Apache-2.0
#include "io/tensor_names.hpp"

#include <utility>

namespace constrictor::io {

std::vector<LayerShape> layer_shapes(const ModelSpec& spec) {
  const Index hidden = spec.hidden, queries = spec.heads * spec.head_dim,
              keys = spec.kv_heads * spec.head_dim, wide = spec.feed_forward;
  const bool attention = spec.attention_bias, mlp = spec.mlp_bias;
  std::vector<LayerShape> layers = {{"self_attn.q_proj", Role::query, queries, hidden, attention},
                                    {"self_attn.k_proj", Role::key, keys, hidden, attention},
                                    {"self_attn.v_proj", Role::value, keys, hidden, attention}};
  if (spec.family == Family::llama) {
    layers.push_back({"self_attn.o_proj", Role::output, hidden, queries, attention});
    layers.push_back({"mlp.gate_proj", Role::gate, wide, hidden, mlp});
    layers.push_back({"mlp.up_proj", Role::up, wide, hidden, mlp});
    layers.push_back({"mlp.down_proj", Role::down, hidden, wide, mlp});
  } else {
    layers.push_back({"self_attn.out_proj", Role::output, hidden, queries, attention});
    layers.push_back({"fc1", Role::up, wide, hidden, mlp});
    layers.push_back({"fc2", Role::down, hidden, wide, mlp});
  }
  return layers;
}

TensorNames::TensorNames(const ModelSpec& spec, std::string prefix)
    : spec_(spec), prefix_(std::move(prefix)) {}

std::vector<std::string> TensorNames::prefixes(Family family) {
  if (family == Family::llama) return {"model.", ""};
  return {"model.decoder.", "decoder.", ""};
}

std::string TensorNames::in_block(Index block, const std::string& name) const {
  return prefix_ + "layers." + std::to_string(block) + "." + name;
}

NormNames TensorNames::norm(const std::string& name) const {
  return {name + ".weight", spec_.family == Family::opt ? name + ".bias" : ""};
}

NormNames TensorNames::attention_norm(Index block) const {
  return norm(
      in_block(block, spec_.family == Family::llama ? "input_layernorm" : "self_attn_layer_norm"));
}

NormNames TensorNames::mlp_norm(Index block) const {
  return norm(in_block(
      block, spec_.family == Family::llama ? "post_attention_layernorm" : "final_layer_norm"));
}

EndNames TensorNames::ends() const {
  EndNames names;
  names.token_embedding = prefix_ + "embed_tokens.weight";
  if (!spec_.tied_embeddings) names.lm_head = "lm_head.weight";
  if (spec_.family == Family::llama) {
    names.final_norm = norm(prefix_ + "norm");
    return names;
  }
  names.position_embedding = prefix_ + "embed_positions.weight";
  if (spec_.embedding_width != spec_.hidden) {
    names.project_in = prefix_ + "project_in.weight";
    names.project_out = prefix_ + "project_out.weight";
  }
  if (spec_.final_norm) names.final_norm = norm(prefix_ + "final_layer_norm");
  return names;
}

std::vector<ExpectedTensor> TensorNames::expected_in_block(Index block) const {
  std::vector<ExpectedTensor> expected;
  for (const LayerShape& layer : layer_shapes(spec_)) {
    expected.push_back({in_block(block, layer.name + ".weight"), {layer.out, layer.in}});
    if (layer.bias) expected.push_back({in_block(block, layer.name + ".bias"), {layer.out}});
  }
  for (const NormNames& names : {attention_norm(block), mlp_norm(block)}) {
    expected.push_back({names.weight, {spec_.hidden}});
    if (!names.bias.empty()) expected.push_back({names.bias, {spec_.hidden}});
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
