// SPDX-License-Identifier: Apache-2.0
#include "io/packed_tensors.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "io/stored_numbers.hpp"
#include "kernels/pack_codes.hpp"

namespace constrictor::io {

Index padded_words(Index count, int bits) {
  const Index per_word = 32 / bits;
  return (count + per_word - 1) / per_word;
}

void require_tensor(const ModelFiles& files, const std::string& name,
                    std::initializer_list<std::string_view> dtypes,
                    const std::vector<std::vector<Index>>& shapes) {
  const StoredTensor found = files.at(name);
  const std::string place = found.file->path().string() + ": tensor " + name;
  if (std::find(dtypes.begin(), dtypes.end(), found.entry->dtype) == dtypes.end()) {
    std::string list;
    for (const std::string_view dtype : dtypes)
      list += (list.empty() ? "" : ", ") + std::string(dtype);
    throw UserError(place + " is stored as " + found.entry->dtype + ", not as " + list);
  }
  if (std::find(shapes.begin(), shapes.end(), found.entry->shape) == shapes.end())
    throw UserError(place + " has shape " + shape_text(found.entry->shape) +
                    ", but config.json and its quantization_config ask for " +
                    shape_text(shapes.front()));
}

Matrix<std::uint32_t> load_words(const StoredTensor& tensor) {
  auto words = Matrix<std::uint32_t>::uninitialized(tensor.entry->shape[0], tensor.entry->shape[1]);
  if (!words.empty()) std::memcpy(words.data(), tensor.bytes().data(), words.bytes());
  tensor.file->release(*tensor.entry);
  return words;
}

Matrix<std::uint8_t> unpacked(const Matrix<std::uint32_t>& words, int bits, Index count) {
  auto codes = Matrix<std::uint8_t>::uninitialized(words.rows(), count);
  if (words.cols() == kernels::packed_words(count, bits))
    kernels::unpack_codes(words.view(), bits, codes.view());
  else
    kernels::unpack_padded_codes(words.view(), bits, codes.view());
  return codes;
}

Matrix<float> load_scales(const StoredTensor& tensor, Index rows, Index cols,
                          const std::string& owner) {
  auto scales = Matrix<float>::uninitialized(rows, cols);
  const Index bad =
      convert_to_float(*dtype_of(tensor.entry->dtype), tensor.bytes(), scales.values());
  if (bad >= 0)
    throw NumericalError(owner + "tensor " + tensor.entry->name + ": NaN or Inf at " +
                         shape_text({bad / cols, bad % cols}) + " (" +
                         tensor.file->path().string() + ")");
  tensor.file->release(*tensor.entry);
  return scales;
}

std::vector<Index> load_groups(const StoredTensor& g_idx, Index inputs, Index group_size,
                               Index groups) {
  std::vector<std::int32_t> stored(static_cast<std::size_t>(inputs), -1);
  if (g_idx.file != nullptr) std::memcpy(stored.data(), g_idx.bytes().data(), 4 * stored.size());
  const bool given = std::any_of(stored.begin(), stored.end(), [](int g) { return g != -1; });
  std::vector<Index> group_of(stored.size());
  for (std::size_t i = 0; i < group_of.size(); ++i) {
    group_of[i] = given ? stored[i] : group_size > 0 ? static_cast<Index>(i) / group_size : 0;
    if (group_of[i] < 0 || group_of[i] >= groups)
      throw UserError(g_idx.file->path().string() + ": tensor " + g_idx.entry->name +
                      " names group " + std::to_string(group_of[i]) + " of " +
                      std::to_string(groups));
  }
  return group_of;
}

}  // namespace constrictor::io
