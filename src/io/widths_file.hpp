// SPDX-License-Identifier: Apache-2.0
#pragma once
// widths.json of a run: what every layer costs at every width, and which it got.

#include <filesystem>
#include <vector>

#include "data/layer_widths.hpp"

namespace constrictor::io {

/// Writes atomically; FileSystemError otherwise.
void write_widths(const std::filesystem::path& path, double average,
                  const std::vector<LayerWidths>& layers);
/// UserError when the file is damaged.
std::vector<LayerWidths> read_widths(const std::filesystem::path& path);

}  // namespace constrictor::io
