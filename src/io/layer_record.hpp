// SPDX-License-Identifier: Apache-2.0
#pragma once
// One layer's group in a block file, both ways.

#include "data/quantized_layer.hpp"
#include "io/h5.hpp"

namespace constrictor::io {

/// `position` is the layer's place in its block: HDF5 lists groups by name.
void write_layer(H5Group& group, const QuantizedLayer& layer, Index position);
QuantizedLayer read_layer(const H5Group& group, const std::string& name);

}  // namespace constrictor::io
