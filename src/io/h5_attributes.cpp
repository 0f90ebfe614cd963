// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>

#include "io/h5.hpp"
#include "io/h5_calls.hpp"

namespace constrictor::io {
namespace {

/// UTF-8 of any length, as h5py writes and reads `str`.
H5Id text_type() {
  H5Id type(CONSTRICTOR_HDF5("", H5Tcopy(H5T_C_S1)));
  CONSTRICTOR_HDF5("", H5Tset_size(type.get(), H5T_VARIABLE));
  CONSTRICTOR_HDF5("", H5Tset_cset(type.get(), H5T_CSET_UTF8));
  return type;
}

/// What h5py calls bool: an enumeration of FALSE and TRUE in one byte.
H5Id flag_type() {
  H5Id type(CONSTRICTOR_HDF5("", H5Tenum_create(H5T_STD_I8LE)));
  const std::array<std::int8_t, 2> values = {0, 1};
  CONSTRICTOR_HDF5("", H5Tenum_insert(type.get(), "FALSE", &values[0]));
  CONSTRICTOR_HDF5("", H5Tenum_insert(type.get(), "TRUE", &values[1]));
  return type;
}

void write_scalar(hid_t place, const std::string& path, const std::string& name, hid_t file_type,
                  hid_t memory_type, const void* value) {
  const std::string where = path + "@" + name;
  if (H5Aexists(place, name.c_str()) > 0) CONSTRICTOR_HDF5(where, H5Adelete(place, name.c_str()));
  const H5Id space(CONSTRICTOR_HDF5(where, H5Screate(H5S_SCALAR)));
  const H5Id attribute(CONSTRICTOR_HDF5(
      where, H5Acreate2(place, name.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  CONSTRICTOR_HDF5(where, H5Awrite(attribute.get(), memory_type, value));
}

/// An attribute of one element, opened for reading.
struct OpenAttribute {
  OpenAttribute(hid_t place, const std::string& path, const std::string& name)
      : where(path + "@" + name),
        id(CONSTRICTOR_HDF5(where, H5Aopen(place, name.c_str(), H5P_DEFAULT))),
        type(CONSTRICTOR_HDF5(where, H5Aget_type(id.get()))),
        kind(H5Tget_class(type.get())) {
    const H5Id space(CONSTRICTOR_HDF5(where, H5Aget_space(id.get())));
    if (CONSTRICTOR_HDF5(where, H5Sget_simple_extent_npoints(space.get())) != 1)
      refuse("one value");
  }
  [[noreturn]] void refuse(const char* wanted) const {
    throw LibraryError(where + ": the attribute does not hold " + wanted);
  }
  void read(hid_t memory_type, void* value) const {
    CONSTRICTOR_HDF5(where, H5Aread(id.get(), memory_type, value));
  }
  std::string where;
  H5Id id;
  H5Id type;
  H5T_class_t kind;
};

std::string read_text(const OpenAttribute& attribute) {
  if (attribute.kind != H5T_STRING) attribute.refuse("text");
  if (H5Tis_variable_str(attribute.type.get()) > 0) {
    const H5Id memory = text_type();
    // The character set is the file's: ASCII and UTF-8 do not convert into each other.
    CONSTRICTOR_HDF5(attribute.where, H5Tset_cset(memory.get(), H5Tget_cset(attribute.type.get())));
    char* text = nullptr;
    attribute.read(memory.get(), &text);
    const std::string copy = text != nullptr ? text : "";
    H5free_memory(text);
    return copy;
  }
  std::string text(H5Tget_size(attribute.type.get()), '\0');
  attribute.read(attribute.type.get(), text.data());
  text.resize(std::strlen(text.c_str()));
  return text;
}

}  // namespace

void H5Group::set_attribute(const std::string& name, std::string_view value) {
  CONSTRICTOR_REQUIRE(value.find('\0') == std::string_view::npos, name);
  const std::string copy(value);
  const char* text = copy.c_str();
  const H5Id type = text_type();
  write_scalar(id_.get(), path_, name, type.get(), type.get(), &text);
}

void H5Group::set_attribute(const std::string& name, double value) {
  write_scalar(id_.get(), path_, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void H5Group::set_integer(const std::string& name, std::int64_t value) {
  write_scalar(id_.get(), path_, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void H5Group::set_flag(const std::string& name, bool value) {
  const std::int8_t stored = value ? 1 : 0;
  const H5Id type = flag_type();
  write_scalar(id_.get(), path_, name, type.get(), type.get(), &stored);
}

H5Kind H5Group::attribute_kind(const std::string& name) const {
  switch (OpenAttribute(id_.get(), path_, name).kind) {
    case H5T_STRING:
      return H5Kind::text;
    case H5T_INTEGER:
      return H5Kind::integer;
    case H5T_FLOAT:
      return H5Kind::number;
    default:
      return H5Kind::other;
  }
}

template <>
std::string H5Group::attribute<std::string>(const std::string& name) const {
  return read_text(OpenAttribute(id_.get(), path_, name));
}

template <>
std::int64_t H5Group::attribute<std::int64_t>(const std::string& name) const {
  const OpenAttribute attribute(id_.get(), path_, name);
  if (attribute.kind != H5T_INTEGER) attribute.refuse("a whole number");
  std::int64_t value = 0;
  attribute.read(H5T_NATIVE_INT64, &value);
  return value;
}

template <>
double H5Group::attribute<double>(const std::string& name) const {
  const OpenAttribute attribute(id_.get(), path_, name);
  if (attribute.kind != H5T_FLOAT && attribute.kind != H5T_INTEGER) attribute.refuse("a number");
  double value = 0;
  attribute.read(H5T_NATIVE_DOUBLE, &value);
  return value;
}

template <>
bool H5Group::attribute<bool>(const std::string& name) const {
  const OpenAttribute attribute(id_.get(), path_, name);
  if (attribute.kind == H5T_INTEGER) return this->attribute<std::int64_t>(name) != 0;
  if (attribute.kind != H5T_ENUM || H5Tget_size(attribute.type.get()) != 1)
    attribute.refuse("true or false");
  std::int8_t value = 0;
  attribute.read(attribute.type.get(), &value);
  return value != 0;
}

}  // namespace constrictor::io
