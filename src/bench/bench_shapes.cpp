// SPDX-License-Identifier: Apache-2.0
#include "bench/bench_shapes.hpp"

#include "core/error.hpp"

namespace constrictor::bench {
namespace {

struct Entry {
  const char* name;
  ModelSpec spec;
};

ModelSpec llama(Index blocks, Index hidden, Index feed_forward, Index heads, Index head_dim) {
  ModelSpec m;
  m.dtype = DType::bfloat16;
  m.blocks = blocks;
  m.hidden = m.embedding_width = hidden;
  m.feed_forward = feed_forward;
  m.heads = heads;
  m.kv_heads = 8;
  m.head_dim = head_dim;
  m.vocabulary = 128256;
  m.max_positions = 8192;
  m.rope.theta = 500000;
  return m;
}

/// Llama 3.1 and later stretch the rotations.
ModelSpec stretched(ModelSpec m, double factor) {
  m.max_positions = 131072;
  m.rope.scaling = RopeScaling::llama3;
  m.rope.factor = factor;
  return m;
}

ModelSpec llama_1b() {
  ModelSpec m = stretched(llama(16, 2048, 8192, 32, 64), 32);
  m.tied_embeddings = true;
  return m;
}

ModelSpec opt_125m() {
  ModelSpec m;
  m.family = "opt";
  m.rotary = m.gated = false;
  m.norm_style = NormStyle::layer;
  m.dtype = DType::float16;
  m.blocks = 12;
  m.hidden = m.embedding_width = 768;
  m.feed_forward = 3072;
  m.heads = m.kv_heads = 12;
  m.head_dim = 64;
  m.vocabulary = 50272;
  m.max_positions = 2048;
  m.activation = Activation::relu;
  m.tied_embeddings = m.qkv_bias = m.output_bias = m.mlp_bias = true;
  return m;
}

/// experiments/demo/model
ModelSpec demo() {
  ModelSpec m = llama(4, 128, 352, 4, 32);
  m.kv_heads = 2;
  m.vocabulary = m.max_positions = 2048;
  m.rope.theta = 10000;
  m.tied_embeddings = true;
  return m;
}

const std::vector<Entry>& table() {
  static const std::vector<Entry> entries = {
      {"llama-3-8b", llama(32, 4096, 14336, 32, 128)},
      {"llama-3.2-1b", llama_1b()},
      {"llama-3.1-70b", stretched(llama(80, 8192, 28672, 64, 128), 8)},
      {"opt-125m", opt_125m()},
      {"demo", demo()}};
  return entries;
}

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const Entry& entry : table()) names.emplace_back(entry.name);
  return names;
}

ModelSpec shape_of_model(const std::string& name) {
  std::string known;
  for (const Entry& entry : table()) {
    if (entry.name == name) return entry.spec;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw UserError("bench: --shape " + name + " is not known; there are " + known);
}

}  // namespace constrictor::bench
