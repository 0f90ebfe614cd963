// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the tensors of a model folder are called and which shape config.json gives them.

#include <string>
#include <vector>

#include "data/block.hpp"
#include "families/family.hpp"

namespace constrictor::io {

/// One linear layer of a block: weight [out x in], bias [out] if it has one.
struct LayerShape {
  std::string name;  // without the block's prefix: "self_attn.q_proj"
  Role role = Role::query;
  Index out = 0;
  Index in = 0;
  bool bias = false;
  Index expert = -1;  // as Layer::expert
};

struct NormNames {
  std::string weight;
  std::string bias;  // empty where the family has none
};

/// Names of everything outside the blocks; empty where the model has none.
struct EndNames {
  std::string token_embedding, position_embedding, project_in, project_out, lm_head;
  NormNames final_norm;
};

/// A norm of a block, where `Block` keeps it.
struct BlockNorm {
  Norm Block::*place;
  NormNames names;
  Index width = 0;
};

struct ExpectedTensor {
  std::string name;
  std::vector<Index> shape;
};

/// Layers of one block in the order of `Block::layers`.
std::vector<LayerShape> layer_shapes(const ModelSpec& spec);

/// Full names, for one of the prefixes that occur ("model." is missing in some published folders).
class TensorNames {
 public:
  TensorNames(const ModelSpec& spec, std::string prefix);
  /// The prefixes to try, the usual one first.
  static const std::vector<std::string>& prefixes(const ModelSpec& spec);

  std::string in_block(Index block, const std::string& name) const;
  std::string router(Index block) const;  // of a model with experts
  /// Those that the model has.
  std::vector<BlockNorm> norms(Index block) const;
  EndNames ends() const;

  std::vector<ExpectedTensor> expected_in_block(Index block) const;
  std::vector<ExpectedTensor> expected_in_ends() const;

 private:
  NormNames norm(const std::string& name) const;
  ModelSpec spec_;
  const families::Names& family_;
  std::string prefix_;
};

}  // namespace constrictor::io
