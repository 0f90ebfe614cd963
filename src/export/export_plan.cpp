// SPDX-License-Identifier: Apache-2.0
#include "export/export_plan.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "export/scales.hpp"
#include "io/block_reader.hpp"
#include "io/run_file.hpp"
#include "io/stored_numbers.hpp"

namespace constrictor::exports {
namespace {

namespace fs = std::filesystem;

LayerPlan plan_layer(const fs::path& block_file, Index block, const io::LayerOutline& outline,
                     const io::Checkpoint& checkpoint) {
  LayerPlan plan;
  plan.block = block;
  plan.name = outline.name;
  plan.module = checkpoint.layer_tensor(block, outline.name);
  plan.role = outline.role;
  plan.out = outline.out;
  plan.in = outline.in;
  plan.largest_scale = outline.largest_scale;
  const auto refuse = [&](const std::string& why) {
    throw UserError(block_file.string() + ": " + outline.name + ": " + why);
  };
  const float middle = static_cast<float>(1 << (outline.bits - 1));
  const float top = static_cast<float>((1 << outline.bits) - 1);
  if (!outline.whole_zeros || outline.smallest_zero < 0 || outline.largest_zero > top)
    refuse("its zero points are not all whole numbers from 0 to " +
           std::to_string(static_cast<int>(top)) + ", which no format can store");
  plan.scheme = {
      outline.bits, outline.groups == 1 ? 0 : outline.in / outline.groups,
      outline.symmetric && outline.smallest_zero == middle && outline.largest_zero == middle};
  const io::StoredTensor weight = checkpoint.files().find(plan.module + ".weight");
  if (weight.file == nullptr || weight.entry->shape != std::vector<Index>{plan.out, plan.in})
    refuse("the model has no weight of " + io::shape_text({plan.out, plan.in}) + " by the name " +
           plan.module + ".weight");
  plan.weight_dtype = *io::dtype_of(weight.entry->dtype);
  return plan;
}

/// Tensors that no layer of the run replaces, and the linear layers among them: matrices that are
/// multiplied, not looked up.
void plan_raw(const io::Checkpoint& checkpoint, ExportPlan& plan) {
  std::set<std::string> replaced;
  for (const LayerPlan& layer : plan.layers) replaced.insert(layer.module + ".weight");
  const auto embeddings = checkpoint.embedding_tensors();
  plan.linear_unquantized = {"lm_head"};
  for (const io::SafetensorsFile& file : checkpoint.files().files())
    for (const io::TensorEntry& tensor : file.header().tensors) {
      if (replaced.count(tensor.name) != 0) continue;
      plan.raw.push_back(tensor.name);
      const bool looked_up =
          std::find(embeddings.begin(), embeddings.end(), tensor.name) != embeddings.end();
      const std::string ending = ".weight";
      if (looked_up || tensor.shape.size() != 2 || !tensor.name.ends_with(ending)) continue;
      const std::string module = tensor.name.substr(0, tensor.name.size() - ending.size());
      if (module != "lm_head") plan.linear_unquantized.push_back(module);
    }
}

/// Only what all its readers take for the old layout: symmetric 4 and 8 bits.
bool fits_first_gptq(const ExportPlan& plan) {
  return std::all_of(plan.layers.begin(), plan.layers.end(), [](const LayerPlan& layer) {
    return layer.scheme.symmetric && (layer.scheme.bits == 4 || layer.scheme.bits == 8);
  });
}

}  // namespace

ExportPlan plan_export(const std::string& run_dir, const io::Checkpoint& checkpoint) {
  ExportPlan plan;
  for (Index b = 0; b < checkpoint.spec().blocks; ++b) {
    const fs::path path = fs::path(run_dir) / "blocks" / io::block_file_name(b);
    const io::BlockReader reader(path);
    for (const io::LayerOutline& outline : reader.layers()) {
      if (plan.layers.empty()) plan.damping = outline.damping;
      plan.layers.push_back(plan_layer(path, b, outline, checkpoint));
    }
  }
  if (plan.layers.empty()) throw UserError(run_dir + ": the run holds no quantized layers");
  plan_raw(checkpoint, plan);
  return plan;
}

std::vector<std::unique_ptr<LayerFormat>> formats_for(const std::string& word,
                                                      const ExportPlan& plan, DType model_dtype) {
  std::vector<std::unique_ptr<LayerFormat>> formats;
  const bool all = word == "all";
  if (all || word == "compressed-tensors")
    formats.push_back(compressed_tensors_format(model_dtype));
  if (all || word == "gptq") formats.push_back(gptq_format(fits_first_gptq(plan)));
  if (all || word == "dequantized") formats.push_back(dequantized_format());
  if (formats.empty())
    throw UserError("--format " + word +
                    ": is no format; formats are compressed-tensors, gptq, dequantized and all");
  for (const auto& format : formats)
    for (const LayerPlan& layer : plan.layers)
      if (const std::string why = format->obstacle(layer); !why.empty())
        throw UserError("--format " + format->word() + " cannot store " + layer.words() + ": " +
                        why);
  return formats;
}

std::vector<io::PlannedTensor> planned_tensors(const ExportPlan& plan, const LayerFormat& format,
                                               const io::Checkpoint& checkpoint) {
  std::vector<io::PlannedTensor> tensors;
  for (const std::string& name : plan.raw) {
    const io::TensorEntry& entry = *checkpoint.files().at(name).entry;
    tensors.push_back({name, entry.dtype, entry.shape});
  }
  for (const LayerPlan& layer : plan.layers)
    for (io::PlannedTensor& tensor : format.tensors(layer)) tensors.push_back(std::move(tensor));
  return tensors;
}

std::string scheme_words(const ExportPlan& plan) {
  std::string words;
  for (const io::StoredScheme& scheme : schemes_of(plan.layers)) {
    const auto count =
        std::count_if(plan.layers.begin(), plan.layers.end(),
                      [&](const LayerPlan& layer) { return layer.scheme == scheme; });
    words += (words.empty() ? "" : "; ") + std::to_string(count) + " of " +
             std::to_string(scheme.bits) + " bits, " +
             (scheme.group_size > 0 ? "groups of " + std::to_string(scheme.group_size)
                                    : std::string("one scale a row")) +
             (scheme.symmetric ? ", symmetric" : ", asymmetric");
  }
  return words;
}

}  // namespace constrictor::exports
