// SPDX-License-Identifier: Apache-2.0
#pragma once
// Checked HDF5 calls. Internal to io/ (it includes hdf5.h).

#include <hdf5.h>

#include <string>
#include <type_traits>

#include "io/h5.hpp"

namespace constrictor::io {

/// Prepares the library, once: no file locking (parallel file systems often refuse it), no error
/// print-outs, no clean-up at exit (which would retry writing to a full disk).
void prepare_hdf5();

/// Throws LibraryError: path, call, the innermost message of HDF5's error stack.
[[noreturn]] void raise_hdf5(const std::string& path, const char* call);

/// hid_t, herr_t, htri_t, hssize_t: negative is failure everywhere.
template <class Result>
Result checked_hdf5(Result result, const std::string& path, const char* call) {
  if (result < 0) raise_hdf5(path, call);
  return result;
}

/// Yields the value of the call; throws with the text of the call.
#define CONSTRICTOR_HDF5(path, call) ::constrictor::io::checked_hdf5((call), (path), #call)

/// Type of a C++ element in memory (native) and in the file (little-endian).
struct H5Types {
  hid_t memory;
  hid_t file;
};
template <class T>
H5Types h5_types() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return {H5T_NATIVE_UINT8, H5T_STD_U8LE};
  if constexpr (std::is_same_v<T, std::uint16_t>) return {H5T_NATIVE_UINT16, H5T_STD_U16LE};
  if constexpr (std::is_same_v<T, std::int32_t>) return {H5T_NATIVE_INT32, H5T_STD_I32LE};
  if constexpr (std::is_same_v<T, std::int64_t>) return {H5T_NATIVE_INT64, H5T_STD_I64LE};
  if constexpr (std::is_same_v<T, float>) return {H5T_NATIVE_FLOAT, H5T_IEEE_F32LE};
  if constexpr (std::is_same_v<T, double>) return {H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE};
}

}  // namespace constrictor::io
