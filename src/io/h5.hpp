// SPDX-License-Identifier: Apache-2.0
#pragma once
// HDF5 without its C API: typed attributes and datasets, groups, external links. Every failed call
// throws LibraryError with the path, the call and HDF5's own words. Serial HDF5: one thread at a
// time.
//
// Files follow the HDF5 1.10 format and hold no time stamps: equal content gives equal bytes.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/handle.hpp"
#include "core/matrix.hpp"

namespace constrictor::io {

struct H5IdApi {
  using Raw = std::int64_t;  // hid_t of HDF5 1.10, checked in h5.cpp
  static Raw empty() { return -1; }
  static void destroy(Raw id) noexcept;
};
using H5Id = Handle<H5IdApi>;

enum class H5Kind { text, integer, number, other };

/// Element types of datasets: uint8_t, uint16_t (bfloat16 bits), int32_t, int64_t, float, double.
/// Integers are read from a type that they hold without loss; floats from any float.
class H5Group {
 public:
  bool has(const std::string& name) const;
  bool has_attribute(const std::string& name) const;
  /// Names of the members, sorted.
  std::vector<std::string> names() const;
  std::vector<std::string> attribute_names() const;
  H5Group group(const std::string& name) const;
  std::vector<Index> shape(const std::string& dataset) const;

  /// T: std::string, std::int64_t, double, bool. Integers are accepted where a double is asked for.
  template <class T>
  T attribute(const std::string& name) const;
  H5Kind attribute_kind(const std::string& name) const;
  /// All elements, row-major.
  template <class T>
  std::vector<T> vector(const std::string& dataset) const;
  /// A dataset of two dimensions; more are stacked: [a, b, c] becomes [a b x c]. One is a row.
  template <class T>
  Matrix<T> matrix(const std::string& dataset) const;

  H5Group create_group(const std::string& name);
  /// `name` becomes a link to `object` in another file; a relative `file` is sought beside this
  /// one.
  void link_external(const std::string& name, const std::string& file, const std::string& object);

  void set_attribute(const std::string& name, std::string_view value);
  void set_attribute(const std::string& name, const char* value) {
    set_attribute(name, std::string_view(value));
  }
  void set_attribute(const std::string& name, double value);
  template <class T>
  requires std::is_integral_v<T>
  void set_attribute(const std::string& name, T value) {
    if constexpr (std::is_same_v<T, bool>)
      set_flag(name, value);
    else
      set_integer(name, static_cast<std::int64_t>(value));
  }

  /// Larger than 1 MiB: chunked, shuffled, deflate level 1; else contiguous. `values` row-major.
  template <class T>
  void write(const std::string& name, std::span<const T> values, const std::vector<Index>& shape);
  template <class T>
  void write(const std::string& name, const std::vector<T>& values) {
    write<T>(name, std::span<const T>(values), {static_cast<Index>(values.size())});
  }
  template <class T>
  void write(const std::string& name, const Matrix<T>& values) {
    write<T>(name, values.values(), {values.rows(), values.cols()});
  }

 protected:
  H5Group(H5Id id, std::string path) : id_(std::move(id)), path_(std::move(path)) {}
  H5Id id_;
  std::string path_;  // "file.h5/group", for messages

 private:
  void set_integer(const std::string& name, std::int64_t value);
  void set_flag(const std::string& name, bool value);
};

/// An open file and its root group.
class H5File : public H5Group {
 public:
  /// For writing; an existing file is replaced.
  static H5File create(const std::filesystem::path& path);
  /// For reading.
  static H5File open(const std::filesystem::path& path);
  /// True for a file that starts as an HDF5 file does.
  static bool is_hdf5(const std::filesystem::path& path);
  /// Writes everything out and closes, reporting what a destructor would swallow (a full disk).
  void close();

 private:
  using H5Group::H5Group;
};

}  // namespace constrictor::io
