// SPDX-License-Identifier: Apache-2.0
#pragma once
// A Hugging Face model folder: checked as a whole when it is opened, read one block at a time.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/bfloat16.hpp"
#include "data/block.hpp"
#include "data/model_spec.hpp"
#include "io/model_config.hpp"
#include "io/model_files.hpp"

namespace constrictor::io {

class Checkpoint {
 public:
  /// Reads config.json and the headers of the weights; presence, dtype and shape of every tensor
  /// that the model needs are compared with config.json here, before any work. UserError names the
  /// file, the tensor, what was found and what was expected.
  /// A model that stores codes (compressed-tensors, GPTQ) is refused unless they are allowed.
  explicit Checkpoint(std::filesystem::path folder, Codes codes = Codes::refused);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const ModelSpec& spec() const;
  const std::filesystem::path& folder() const;
  /// Layers of one block, in the order of `Block::layers`: "self_attn.q_proj", ...
  std::vector<std::string> layer_names() const;
  /// Full name of a layer, without ".weight": "model.layers.3.mlp.up_proj".
  std::string layer_tensor(Index block, const std::string& layer) const;
  /// Tensors that are looked up by position, not multiplied: token and position embeddings.
  std::vector<std::string> embedding_tensors() const;
  const ModelFiles& files() const;
  /// "gptq: 28 layers of 4 bits, ..."; "" when no weights are stored as codes.
  std::string packing_words() const;
  /// Numbers in all tensors that the model needs, embeddings included.
  Index parameter_count() const;

  /// Block `index` with float32 weights; `weight_bf16` too when products are bfloat16 (automatic:
  /// when the files are). NumericalError naming block, tensor and position of a NaN or Inf.
  Block load_block(Index index, Products products) const;
  ModelEnds load_ends() const;

  /// Of config.json and the headers of the safetensors files, sorted by file name.
  std::string model_sha256() const;
  /// The same and the first and last 4 KiB of every tensor: tells two fine-tunes of one model
  /// apart.
  std::string sample_sha256() const;
  /// Of tokenizer.json; "" when the folder has none.
  std::string tokenizer_sha256() const;

 private:
  struct Contents;
  std::unique_ptr<Contents> contents_;
};

}  // namespace constrictor::io
