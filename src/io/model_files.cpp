// SPDX-License-Identifier: Apache-2.0
#include "io/model_files.hpp"

#include <map>
#include <utility>

#include "core/error.hpp"
#include "io/json_section.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at does not exist for us
  return fs::exists(path, ignored);
}

std::string name_of_a_pickle(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".bin" || extension == ".pt" || extension == ".pth")
      return entry.path().filename().string();
  }
  return "";
}

[[noreturn]] void refuse_without_weights(const fs::path& folder) {
  const std::string pickle = name_of_a_pickle(folder);
  if (!pickle.empty())
    throw UserError(folder.string() + ": holds pickled weights (" + pickle +
                    ") but no safetensors; a pickle can run any code, so convert it first: "
                    "model.save_pretrained(folder, safe_serialization=True) in Transformers");
  throw UserError(folder.string() +
                  ": holds neither model.safetensors nor model.safetensors.index.json");
}

}  // namespace

ModelFiles::ModelFiles(fs::path folder) : folder_(std::move(folder)) {
  const fs::path single = folder_ / "model.safetensors";
  const fs::path index = folder_ / "model.safetensors.index.json";
  if (is_there(single)) {
    listing_ = single;
    files_.emplace_back(single);
    for (const TensorEntry& tensor : files_.front().header().tensors)
      tensors_.emplace(tensor.name, StoredTensor{&files_.front(), &tensor});
  } else if (is_there(index)) {
    listing_ = index;
    open_index(index);
  } else {
    refuse_without_weights(folder_);
  }
}

void ModelFiles::open_index(const fs::path& index) {
  const JsonSection section(index, read_json(index, std::size_t{1} << 27));
  const JsonSection weight_map = section.section("weight_map");
  std::map<std::string, std::vector<std::string>> tensors_by_shard;
  for (const auto& [tensor, shard] : weight_map.object().items()) {
    if (!shard.is_string()) section.refuse("\"weight_map\" must map tensors to file names");
    const auto name = shard.get<std::string>();
    // A file of the folder itself: an index from a stranger shall not point anywhere else.
    if (name.empty() || name.find('/') != std::string::npos ||
        fs::path(name).extension() != ".safetensors")
      section.refuse("lists " + printable(name) + ", which is no safetensors file of this folder");
    tensors_by_shard[name].push_back(tensor);
  }
  if (tensors_by_shard.empty()) section.refuse("lists no tensors");
  for (const auto& [shard, tensors] : tensors_by_shard) {
    if (!is_there(folder_ / shard))
      throw UserError((folder_ / shard).string() + ": is missing, though " +
                      index.filename().string() + " lists it");
    files_.emplace_back(folder_ / shard);
  }
  for (const SafetensorsFile& file : files_)  // only now: addresses no longer change
    for (const std::string& name : tensors_by_shard[file.path().filename().string()]) {
      const TensorEntry* entry = file.header().find(name);
      if (entry == nullptr)
        throw UserError(file.path().string() + ": has no tensor " + printable(name) + ", though " +
                        index.filename().string() + " says so");
      tensors_.emplace(name, StoredTensor{&file, entry});
    }
}

StoredTensor ModelFiles::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? StoredTensor{} : found->second;
}

StoredTensor ModelFiles::at(const std::string& name) const {
  const StoredTensor tensor = find(name);
  if (tensor.file == nullptr)
    throw UserError(listing_.string() + ": has no tensor " + name + ", which config.json asks for");
  return tensor;
}

}  // namespace constrictor::io
