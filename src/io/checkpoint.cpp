// SPDX-License-Identifier: Apache-2.0
#include "io/checkpoint.hpp"

#include <algorithm>
#include <utility>

#include "core/parallel.hpp"
#include "io/model_config.hpp"
#include "io/model_files.hpp"
#include "io/packed_layers.hpp"
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
  Contents(fs::path path, Codes codes)
      : folder(std::move(path)),
        spec(read_model_config(folder / "config.json", codes)),
        files(folder),
        names(names_with_the_prefix_in_use(spec, files)) {
    if (auto config = read_quantization_config(folder / "config.json"))
      packed = PackedLayers(std::move(*config));
    // In the order of the files' own names, so that the first complaint is the one that helps.
    for (const ExpectedTensor& tensor : names.expected_in_ends())
      parameters += check_tensor(files, tensor);
    for (Index block = 0; block < spec.blocks; ++block)
      for (const ExpectedTensor& tensor : names.expected_in_block(block))
        parameters += check(tensor);
    spec.dtype = common_dtype();
    // The models were trained with the factor rounded to the type of their weights.
    if (spec.dtype == DType::bfloat16)
      spec.embedding_scale = static_cast<float>(bfloat16(static_cast<float>(spec.embedding_scale)));
  }

  /// Of a block's tensor, which may be stored as codes.
  Index check(const ExpectedTensor& tensor) {
    if (!packed.holds(files, tensor.name)) return check_tensor(files, tensor);
    packed.check(files, tensor.name, tensor.shape[0], tensor.shape[1]);
    return tensor.shape[0] * tensor.shape[1];
  }

  DType dtype_of_weight(const std::string& name) const {
    if (!packed.holds(files, name)) return *dtype_of(files.at(name).entry->dtype);
    // GPTQ's scales are float16 whatever the model is: the embeddings tell.
    const std::optional<DType> told = packed.dtype(files, name);
    return told ? *told : *dtype_of(files.at(names.ends().token_embedding).entry->dtype);
  }

  /// Of the layers' weights; float32, which holds all of them, when they differ.
  DType common_dtype() const {
    std::optional<DType> common;
    for (Index block = 0; block < spec.blocks; ++block)
      for (const LayerShape& layer : layer_shapes(spec)) {
        const DType dtype = dtype_of_weight(names.in_block(block, layer.name + ".weight"));
        if (common.value_or(dtype) != dtype) return DType::float32;
        common = dtype;
      }
    return common.value_or(DType::float32);
  }

  Matrix<float> matrix(const std::string& name, const std::string& owner) const {
    if (name.empty()) return {};
    if (packed.holds(files, name)) return packed.load(files, name, owner);
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
    Norm norm{vector(norm_names.weight, owner), vector(norm_names.bias, owner)};
    const float offset = families::of(spec).norm_offset;
    for (float& w : norm.weight) w += offset;
    return norm;
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
  PackedLayers packed;
  Index parameters = 0;
};

Checkpoint::Checkpoint(fs::path folder, Codes codes)
    : contents_(std::make_unique<Contents>(std::move(folder), codes)) {}
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

std::string Checkpoint::layer_tensor(Index block, const std::string& layer) const {
  return contents_->names.in_block(block, layer);
}

std::vector<std::string> Checkpoint::embedding_tensors() const {
  const EndNames names = contents_->names.ends();
  return {names.token_embedding, names.position_embedding};
}

std::string Checkpoint::packing_words() const { return contents_->packed.words(); }

const ModelFiles& Checkpoint::files() const { return contents_->files; }

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
  for (const BlockNorm& norm : names.norms(index))
    block.*norm.place = contents_->norm(norm.names, owner);
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
