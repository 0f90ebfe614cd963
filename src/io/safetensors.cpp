// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors.hpp"

#include <utility>

#include "core/error.hpp"

namespace constrictor::io {

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)), map_(path_) {
  try {
    header_ = parse_safetensors_header(map_.bytes(), map_.bytes().size());
  } catch (const UserError& error) {
    throw UserError(path_.string() + ": " + error.what());
  }
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& tensor) const {
  return map_.bytes().subspan(tensor.begin, tensor.end - tensor.begin);
}

}  // namespace constrictor::io
