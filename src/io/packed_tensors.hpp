// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tensors that packed layers are made of, as plain numbers. Internal to io/.

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/matrix.hpp"
#include "io/model_files.hpp"

namespace constrictor::io {

/// Words of a row of `count` codes that do not straddle words.
Index padded_words(Index count, int bits);

/// UserError unless the tensor is there, with one of these types and one of these shapes.
void require_tensor(const ModelFiles& files, const std::string& name,
                    std::initializer_list<std::string_view> dtypes,
                    const std::vector<std::vector<Index>>& shapes);

/// An I32 tensor of two dimensions as its bits.
Matrix<std::uint32_t> load_words(const StoredTensor& tensor);

/// `count` codes of every row: a dense stream where the number of words says so, padded words
/// otherwise.
Matrix<std::uint8_t> unpacked(const Matrix<std::uint32_t>& words, int bits, Index count);

/// Float32 of any float. NumericalError for a NaN or Inf.
Matrix<float> load_scales(const StoredTensor& tensor, Index rows, Index cols,
                          const std::string& owner);

/// The group of every input: what g_idx says, or input / group_size where there is none (or where
/// it was never filled in: -1). UserError for a group that is not there.
std::vector<Index> load_groups(const StoredTensor& g_idx, Index inputs, Index group_size,
                               Index groups);

}  // namespace constrictor::io
