// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

namespace constrictor::io {

/// "1.10.8": the HDF5 library that reads and writes here.
std::string hdf5_version();

}  // namespace constrictor::io
