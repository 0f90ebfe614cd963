// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.hpp"

#include <algorithm>
#include <utility>

#include "core/parallel.hpp"
#include "io/model_config.hpp"
#include "io/model_files.hpp"
#include "io/sha256.hpp"
#include "io/stored_numbers.hpp"
#include "io/tensor_names.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t sample_bytes = 4096;

TensorNames names_with_the_prefix_in_use(const ModelSpec& spec, const ModelFiles& files) {
  const std::vector<std::string>& prefixes = TensorNames::prefixes(spec);
  for (const std::string& prefix : prefixes)
    if (files.find(TensorNames(spec, prefix).ends().token_embedding).file != nullptr)
      return TensorNames(spec, prefix);
  return TensorNames(spec, prefixes.front());  // the check that follows names what is missing
}

/// Presence, dtype and shape; how many numbers it holds.
Index check_tensor(const ModelFiles& files, const ExpectedTensor& expected) {
  const StoredTensor found = files.at(expected.name);
  const std::string place = found.file->path().string() + ": tensor " + expected.name;
  if (!dtype_of(found.entry->dtype))
    throw UserError(place + " is stored as " + found.entry->dtype +
                    ", but weights must be F32, F16 or BF16");
  if (found.entry->shape != expected.shape)
    throw UserError(place + " has shape " + shape_text(found.entry->shape) +
                    ", but config.json asks for " + shape_text(expected.shape));
  Index count = 1;
  for (const Index extent : expected.shape) count *= extent;
  return count;
}

/// Reads one tensor into `values`; `owner` ("block 3, ") starts the message about a NaN or Inf.
void load(const StoredTensor& tensor, const std::string& owner, std::span<float> values) {
  const Index bad =
      convert_to_float(*dtype_of(tensor.entry->dtype), tensor.file->bytes(*tensor.entry), values);
  if (bad >= 0) {
    const Index cols = tensor.entry->shape.back();
    const bool flat = tensor.entry->shape.size() == 1;
    const float value = values[static_cast<std::size_t>(bad)];
    throw NumericalError(owner + "tensor " + tensor.entry->name + ": " +
                         (value != value ? "NaN" : "Inf") + " at " +
                         (flat ? shape_text({bad}) : shape_text({bad / cols, bad % cols})) + " (" +
                         tensor.file->path().string() + ")");
  }
  tensor.file->release(*tensor.entry);
}

Matrix<bfloat16> rounded(const Matrix<float>& weight) {
  auto result = Matrix<bfloat16>::uninitialized(weight.rows(), weight.cols());
  parallel_for(weight.rows(), [&](Index r) {
    std::transform(weight.row(r), weight.row(r) + weight.cols(), result.row(r),
                   [](float x) { return bfloat16(x); });
  });
  return result;
}

}  // namespace

struct Checkpoint::Contents {
  explicit Contents(fs::path path)
      : folder(std::move(path)),
        spec(read_model_config(folder / "config.json")),
        files(folder),
        names(names_with_the_prefix_in_use(spec, files)) {
    // In the order of the files' own names, so that the first complaint is the one that helps.
    for (const ExpectedTensor& tensor : names.expected_in_ends())
      parameters += check_tensor(files, tensor);
    for (Index block = 0; block < spec.blocks; ++block)
      for (const ExpectedTensor& tensor : names.expected_in_block(block))
        parameters += check_tensor(files, tensor);
    spec.dtype = common_dtype();
  }

  /// Of the layers' weights; float32, which holds all of them, when they differ.
  DType common_dtype() const {
    std::optional<DType> common;
    for (Index block = 0; block < spec.blocks; ++block)
      for (const LayerShape& layer : layer_shapes(spec)) {
        const DType dtype =
            *dtype_of(files.at(names.in_block(block, layer.name + ".weight")).entry->dtype);
        if (common.value_or(dtype) != dtype) return DType::float32;
        common = dtype;
      }
    return common.value_or(DType::float32);
  }

  Matrix<float> matrix(const std::string& name, const std::string& owner) const {
    if (name.empty()) return {};
    const StoredTensor tensor = files.at(name);
    auto values = Matrix<float>::uninitialized(tensor.entry->shape[0], tensor.entry->shape[1]);
    load(tensor, owner, values.values());
    return values;
  }
  std::vector<float> vector(const std::string& name, const std::string& owner) const {
    if (name.empty()) return {};
    const StoredTensor tensor = files.at(name);
    std::vector<float> values(static_cast<std::size_t>(tensor.entry->shape[0]));
    load(tensor, owner, values);
    return values;
  }
  Norm norm(const NormNames& norm_names, const std::string& owner) const {
    return {vector(norm_names.weight, owner), vector(norm_names.bias, owner)};
  }
  Sha256 hash_of_headers() const {
    Sha256 hash;
    hash.add(MappedFile(folder / "config.json").bytes());
    for (const SafetensorsFile& file : files.files()) hash.add(file.header_bytes());
    return hash;
  }

  fs::path folder;
  ModelSpec spec;
  ModelFiles files;
  TensorNames names;
  Index parameters = 0;
};

Checkpoint::Checkpoint(fs::path folder)
    : contents_(std::make_unique<Contents>(std::move(folder))) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

const ModelSpec& Checkpoint::spec() const { return contents_->spec; }
const fs::path& Checkpoint::folder() const { return contents_->folder; }
Index Checkpoint::parameter_count() const { return contents_->parameters; }

std::vector<std::string> Checkpoint::layer_names() const {
  std::vector<std::string> names;
  for (const LayerShape& layer : layer_shapes(spec())) names.push_back(layer.name);
  return names;
}

Block Checkpoint::load_block(Index index, Products products) const {
  CONSTRICTOR_REQUIRE(index >= 0 && index < spec().blocks, index, spec().blocks);
  if (products == Products::automatic && spec().dtype == DType::bfloat16)
    products = Products::bfloat16;
  const std::string owner = "block " + std::to_string(index) + ", ";
  const TensorNames& names = contents_->names;
  Block block;
  block.index = index;
  for (const LayerShape& shape : layer_shapes(spec())) {
    const std::string name = names.in_block(index, shape.name);
    Layer layer{shape.name, shape.role, contents_->matrix(name + ".weight", owner), {}, {}};
    layer.expert = shape.expert;
    if (shape.bias) layer.bias = contents_->vector(name + ".bias", owner);
    if (products == Products::bfloat16) layer.weight_bf16 = rounded(layer.weight);
    block.layers.push_back(std::move(layer));
  }
  if (spec().experts > 0) {
    block.router.weight = contents_->matrix(names.router(index), owner);
    if (products == Products::bfloat16) block.router.weight_bf16 = rounded(block.router.weight);
  }
  block.attention_norm = contents_->norm(names.attention_norm(index), owner);
  block.mlp_norm = contents_->norm(names.mlp_norm(index), owner);
  return block;
}

ModelEnds Checkpoint::load_ends() const {
  const EndNames names = contents_->names.ends();
  ModelEnds ends;
  ends.token_embedding = contents_->matrix(names.token_embedding, "");
  ends.position_embedding = contents_->matrix(names.position_embedding, "");
  ends.project_in = contents_->matrix(names.project_in, "");
  ends.project_out = contents_->matrix(names.project_out, "");
  ends.final_norm = contents_->norm(names.final_norm, "");
  ends.lm_head = contents_->matrix(names.lm_head, "");
  return ends;
}

std::string Checkpoint::model_sha256() const { return contents_->hash_of_headers().hex(); }

std::string Checkpoint::sample_sha256() const {
  Sha256 hash = contents_->hash_of_headers();
  for (const SafetensorsFile& file : contents_->files.files())
    for (const TensorEntry& tensor : file.header().tensors) {
      const std::span<const std::byte> bytes = file.bytes(tensor);
      const std::size_t count = std::min(sample_bytes, bytes.size());
      hash.add(bytes.first(count)).add(bytes.last(count));
    }
  return hash.hex();
}

std::string Checkpoint::tokenizer_sha256() const {
  const fs::path path = contents_->folder / "tokenizer.json";
  std::error_code ignored;
  return fs::exists(path, ignored) ? sha256_of_file(path) : "";
}

}  // namespace constrictor::io
