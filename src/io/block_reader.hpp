// SPDX-License-Identifier: Apache-2.0
#pragma once
// A block file, layer by layer: for those who pass the codes on and must not hold a whole block.

#include <filesystem>
#include <string>
#include <vector>

#include "data/quantized_layer.hpp"
#include "io/h5.hpp"

namespace constrictor::io {

/// What is known of a layer without reading its codes.
struct LayerOutline {
  std::string name;
  Role role = Role::query;
  int bits = 0;
  Index out = 0, in = 0, groups = 0;
  bool symmetric = false;  // as asked for
  double damping = 0;
  float largest_scale = 0;
  float smallest_zero = 0, largest_zero = 0;
  bool whole_zeros = true;  // every zero point is a whole number
};

class BlockReader {
 public:
  /// UserError when the file is damaged or has a schema that this program does not know.
  explicit BlockReader(std::filesystem::path path);

  /// In the order of `Block::layers`.
  const std::vector<LayerOutline>& layers() const { return layers_; }
  /// UserError when it is damaged.
  QuantizedLayer layer(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::vector<LayerOutline> layers_;
};

}  // namespace constrictor::io
