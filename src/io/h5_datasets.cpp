// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "io/h5.hpp"
#include "io/h5_calls.hpp"

namespace constrictor::io {
namespace {

constexpr Index mebibyte = Index{1} << 20;
constexpr Index deflate_at_best = 1100;  // deflate cannot shrink further than about 1032 : 1

Index count_of(const std::vector<Index>& shape) {
  Index count = 1;
  for (const Index extent : shape)
    if (__builtin_mul_overflow(count, extent, &count)) return -1;
  return count;
}

/// As many trailing elements as 1 MiB holds: whole rows where they fit.
std::vector<hsize_t> chunk_shape(const std::vector<Index>& shape, Index element_bytes) {
  std::vector<hsize_t> chunk(shape.size(), 1);
  Index room = mebibyte / element_bytes;
  for (std::size_t i = shape.size(); i-- > 0;) {
    const Index extent = std::clamp<Index>(shape[i], 1, room);
    chunk[i] = static_cast<hsize_t>(extent);
    room = std::max<Index>(room / extent, 1);
  }
  return chunk;
}

H5Id creation_properties(const std::string& where, const std::vector<Index>& shape,
                         Index element_bytes) {
  H5Id properties(CONSTRICTOR_HDF5(where, H5Pcreate(H5P_DATASET_CREATE)));
  CONSTRICTOR_HDF5(where, H5Pset_obj_track_times(properties.get(), false));
  if (count_of(shape) * element_bytes <= mebibyte) return properties;
  const std::vector<hsize_t> chunk = chunk_shape(shape, element_bytes);
  CONSTRICTOR_HDF5(where,
                   H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data()));
  CONSTRICTOR_HDF5(where, H5Pset_shuffle(properties.get()));
  CONSTRICTOR_HDF5(where, H5Pset_deflate(properties.get(), 1));
  return properties;
}

struct OpenDataset {
  OpenDataset(hid_t place, const std::string& path, const std::string& name)
      : where(path + "/" + name),
        id(CONSTRICTOR_HDF5(where, H5Dopen2(place, name.c_str(), H5P_DEFAULT))) {
    const H5Id space(CONSTRICTOR_HDF5(where, H5Dget_space(id.get())));
    const int rank = CONSTRICTOR_HDF5(where, H5Sget_simple_extent_ndims(space.get()));
    std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
    CONSTRICTOR_HDF5(where, H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr));
    for (const hsize_t extent : extents) shape.push_back(static_cast<Index>(extent));
  }

  /// Refuses what T cannot hold, and a size that the stored bytes cannot account for: a damaged or
  /// hostile file must not make us allocate whatever it says.
  template <class T>
  void check() const {
    const H5Id type(CONSTRICTOR_HDF5(where, H5Dget_type(id.get())));
    const std::size_t size = H5Tget_size(type.get());
    const H5T_class_t kind = H5Tget_class(type.get());
    bool fits = kind == H5T_FLOAT;
    if constexpr (std::is_integral_v<T>) {
      const bool stored_sign = H5Tget_sign(type.get()) == H5T_SGN_2;
      fits = kind == H5T_INTEGER &&
             (stored_sign == std::is_signed_v<T> ? size <= sizeof(T)
                                                 : !stored_sign && size < sizeof(T));
    }
    if (!fits) throw LibraryError(where + ": the dataset holds another type of number");
    const Index count = count_of(shape);
    Index bytes = 0;
    if (count < 0 || __builtin_mul_overflow(count, static_cast<Index>(size), &bytes) ||
        bytes / deflate_at_best > static_cast<Index>(H5Dget_storage_size(id.get())))
      throw LibraryError(where + ": the dataset is larger than what the file stores");
  }

  std::string where;
  H5Id id;
  std::vector<Index> shape;
};

template <class T>
void read_into(const OpenDataset& dataset, T* values) {
  if (count_of(dataset.shape) == 0) return;
  CONSTRICTOR_HDF5(dataset.where, H5Dread(dataset.id.get(), h5_types<T>().memory, H5S_ALL, H5S_ALL,
                                          H5P_DEFAULT, values));
}

}  // namespace

std::vector<Index> H5Group::shape(const std::string& dataset) const {
  return OpenDataset(id_.get(), path_, dataset).shape;
}

template <class T>
std::vector<T> H5Group::vector(const std::string& name) const {
  const OpenDataset dataset(id_.get(), path_, name);
  dataset.check<T>();
  std::vector<T> values(static_cast<std::size_t>(count_of(dataset.shape)));
  read_into(dataset, values.data());
  return values;
}

template <class T>
Matrix<T> H5Group::matrix(const std::string& name) const {
  const OpenDataset dataset(id_.get(), path_, name);
  dataset.check<T>();
  const Index cols = dataset.shape.empty() ? 1 : dataset.shape.back();
  Index rows = 1;
  for (std::size_t i = 0; i + 1 < dataset.shape.size(); ++i) rows *= dataset.shape[i];
  auto values = Matrix<T>::uninitialized(rows, cols);
  read_into(dataset, values.data());
  return values;
}

template <class T>
void H5Group::write(const std::string& name, std::span<const T> values,
                    const std::vector<Index>& shape) {
  CONSTRICTOR_REQUIRE(count_of(shape) == static_cast<Index>(values.size()), name, values.size());
  const std::string where = path_ + "/" + name;
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const H5Id space(CONSTRICTOR_HDF5(
      where, H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr)));
  const H5Id properties = creation_properties(where, shape, static_cast<Index>(sizeof(T)));
  const H5Id dataset(
      CONSTRICTOR_HDF5(where, H5Dcreate2(id_.get(), name.c_str(), h5_types<T>().file, space.get(),
                                         H5P_DEFAULT, properties.get(), H5P_DEFAULT)));
  if (values.empty()) return;
  CONSTRICTOR_HDF5(where, H5Dwrite(dataset.get(), h5_types<T>().memory, H5S_ALL, H5S_ALL,
                                   H5P_DEFAULT, values.data()));
}

#define CONSTRICTOR_H5_ELEMENT(T)                                         \
  template std::vector<T> H5Group::vector<T>(const std::string&) const;   \
  template Matrix<T> H5Group::matrix<T>(const std::string&) const;        \
  template void H5Group::write<T>(const std::string&, std::span<const T>, \
                                  const std::vector<Index>&);
CONSTRICTOR_H5_ELEMENT(std::uint8_t)
CONSTRICTOR_H5_ELEMENT(std::uint16_t)
CONSTRICTOR_H5_ELEMENT(std::int32_t)
CONSTRICTOR_H5_ELEMENT(std::int64_t)
CONSTRICTOR_H5_ELEMENT(float)
CONSTRICTOR_H5_ELEMENT(double)
#undef CONSTRICTOR_H5_ELEMENT

}  // namespace constrictor::io
