// SPDX-License-Identifier: Apache-2.0
#include "io/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"

namespace constrictor::io {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read without swapping bytes");

constexpr std::uint64_t length_field = 8;
constexpr std::uint64_t largest_header = 100'000'000;  // the limit of the safetensors library
constexpr std::size_t largest_rank = 32;

/// Receives the JSON event by event, so that nothing but what we keep is ever stored, whatever the
/// nesting. Level 1 is the header, level 2 a tensor or the metadata, level 3 an array of a tensor.
class HeaderEvents {
 public:
  SafetensorsHeader header;

  bool start_object(std::size_t) {
    if (level_ >= 2 || array_ != nullptr) refuse("nests deeper than a header does");
    ++level_;
    if (level_ == 2 && !in_metadata_) header.tensors.push_back({name_, "", {}, 0, 0});
    seen_.fill(false);
    return true;
  }
  bool end_object() {
    if (level_ == 2 && !in_metadata_)
      for (std::size_t i = 0; i < seen_.size(); ++i)
        if (!seen_[i]) refuse("tensor " + printable(name_) + " has no " + std::string(keys[i]));
    if (level_ == 2) offsets_.clear();
    --level_;
    return true;
  }
  bool key(std::string& text) {
    if (level_ == 1) {
      name_ = text;
      in_metadata_ = text == "__metadata__";
      if (in_metadata_ && std::exchange(has_metadata_, true)) refuse("has two __metadata__");
    } else if (in_metadata_) {
      metadata_key_ = text;
    } else {
      const auto found = std::find(keys.begin(), keys.end(), text);
      if (found == keys.end())
        refuse("tensor " + printable(name_) + " has an unknown key " + printable(text));
      key_ = static_cast<std::size_t>(found - keys.begin());
      if (std::exchange(seen_[key_], true))
        refuse("tensor " + printable(name_) + " has two " + text);
    }
    return true;
  }
  bool string(std::string& text) {
    if (level_ == 2 && in_metadata_ && array_ == nullptr) {
      if (!header.metadata.emplace(metadata_key_, text).second)
        refuse("__metadata__ has " + printable(metadata_key_) + " twice");
    } else if (level_ == 2 && !in_metadata_ && key_ == dtype && array_ == nullptr) {
      header.tensors.back().dtype = text;
    } else {
      misplaced("a string");
    }
    return true;
  }
  bool start_array(std::size_t) {
    if (level_ != 2 || in_metadata_ || key_ == dtype || array_ != nullptr) misplaced("an array");
    array_ = key_ == shape ? &header.tensors.back().shape : &offsets_;
    return true;
  }
  bool end_array() {
    if (array_ == &offsets_) {
      if (offsets_.size() != 2)
        refuse("tensor " + printable(name_) + ": data_offsets is not a pair of numbers");
      header.tensors.back().begin = static_cast<std::uint64_t>(offsets_[0]);
      header.tensors.back().end = static_cast<std::uint64_t>(offsets_[1]);
    }
    array_ = nullptr;
    return true;
  }
  bool number_unsigned(std::uint64_t value) {
    if (array_ == nullptr) misplaced("a number");
    if (value > static_cast<std::uint64_t>(INT64_MAX))
      refuse("tensor " + printable(name_) + " holds a number beyond all sizes");
    if (array_->size() >= largest_rank)
      refuse("tensor " + printable(name_) + " has more than 32 dimensions");
    array_->push_back(static_cast<Index>(value));
    return true;
  }
  bool number_integer(std::int64_t) { return misplaced("a negative number"); }
  bool number_float(double, const std::string&) { return misplaced("a number that is no integer"); }
  bool null() { return misplaced("null"); }
  bool boolean(bool) { return misplaced("true or false"); }
  bool binary(std::vector<std::uint8_t>&) { return misplaced("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    throw UserError("the safetensors header is not valid JSON at byte " +
                    std::to_string(position + length_field));
  }

 private:
  static constexpr std::array<std::string_view, 3> keys = {"dtype", "shape", "data_offsets"};
  static constexpr std::size_t dtype = 0, shape = 1;

  [[noreturn]] static void refuse(const std::string& sentence) {
    throw UserError("the safetensors header " + sentence);
  }
  bool misplaced(const std::string& what) const {
    refuse("has " + what + " where none belongs" +
           (level_ == 2 ? ", in " + printable(name_) : std::string()));
  }

  int level_ = 0;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  std::string name_;  // of the tensor in work
  std::string metadata_key_;
  std::size_t key_ = 0;  // which of `keys`
  std::array<bool, 3> seen_{};
  std::vector<Index> offsets_;
  std::vector<Index>* array_ = nullptr;  // where the numbers of the open array go
};

void check_size(const TensorEntry& tensor) {
  std::uint64_t bits = bits_of_dtype(tensor.dtype);
  if (bits == 0)
    throw UserError("tensor " + printable(tensor.name) + " has the unknown dtype " +
                    printable(tensor.dtype));
  bool overflow = false;
  for (const Index extent : tensor.shape)
    overflow |= __builtin_mul_overflow(bits, static_cast<std::uint64_t>(extent), &bits);
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  if (tensor.begin > tensor.end || (overflow && !empty) || bits % 8 != 0 ||
      bits / 8 != tensor.end - tensor.begin)
    throw UserError("tensor " + printable(tensor.name) + ": bytes " + std::to_string(tensor.begin) +
                    " to " + std::to_string(tensor.end) + " do not fit shape " +
                    shape_text(tensor.shape) + " of " + tensor.dtype);
}

/// Tensors in the order of their bytes must follow each other from 0 to `size`.
void check_coverage(const std::vector<TensorEntry>& tensors, std::uint64_t size) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t filled = 0;
  for (const TensorEntry* tensor : order) {
    if (tensor->end > size)
      throw UserError("tensor " + printable(tensor->name) + " ends at byte " +
                      std::to_string(tensor->end) + " of the data, but the file holds only " +
                      std::to_string(size) + ": is it truncated?");
    if (tensor->begin != filled)
      throw UserError(
          "tensor " + printable(tensor->name) +
          (tensor->begin < filled ? " overlaps the tensor before it" : " leaves a hole before it") +
          " (byte " + std::to_string(tensor->begin) + " of the data)");
    filled = tensor->end;
  }
  if (filled != size)
    throw UserError("the tensors end at byte " + std::to_string(filled) +
                    " of the data, but the file holds " + std::to_string(size));
}

}  // namespace

std::uint64_t bits_of_dtype(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 21> table = {
      {{"BOOL", 8},  {"U8", 8},      {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
       {"F4", 4},    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"I16", 16},    {"U16", 16},    {"F16", 16},
       {"BF16", 16}, {"I32", 32},    {"U32", 32},    {"F32", 32},    {"F64", 64},    {"I64", 64},
       {"U64", 64},  {"C64", 64},    {"C128", 128}}};
  for (const auto& [name, bits] : table)
    if (name == dtype) return bits;
  return 0;
}

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const TensorEntry& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file_start,
                                           std::uint64_t file_size) {
  if (file_size < length_field || file_start.size() < length_field)
    throw UserError("is too short for a safetensors file (" + std::to_string(file_size) +
                    " bytes): is it truncated?");
  std::uint64_t length = 0;
  std::memcpy(&length, file_start.data(), length_field);
  if (length > largest_header)
    throw UserError("is not a safetensors file: a header of " + std::to_string(length) +
                    " bytes is announced, more than the limit of 100 MB");
  if (length > file_size - length_field || length > file_start.size() - length_field)
    throw UserError("a safetensors header of " + std::to_string(length) +
                    " bytes is announced, but the file holds only " + std::to_string(file_size) +
                    " bytes: is it truncated?");
  const auto* text = reinterpret_cast<const char*>(file_start.data()) + length_field;
  HeaderEvents events;
  if (length == 0 || *text != '{')
    throw UserError("the safetensors header does not start with '{'");
  nlohmann::json::sax_parse(text, text + length, &events);

  SafetensorsHeader header = std::move(events.header);
  header.bytes = length_field + length;
  for (const TensorEntry& tensor : header.tensors) check_size(tensor);
  check_coverage(header.tensors, file_size - header.bytes);
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < header.tensors.size(); ++i)
    if (header.tensors[i - 1].name == header.tensors[i].name)
      throw UserError("the safetensors header has tensor " + printable(header.tensors[i].name) +
                      " twice");
  for (TensorEntry& tensor : header.tensors) {
    tensor.begin += header.bytes;
    tensor.end += header.bytes;
  }
  return header;
}

std::string shape_text(const std::vector<Index>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::string printable(std::string_view name) {
  std::string text(name.substr(0, 120));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return name.size() > 120 ? text + "..." : text;
}

}  // namespace constrictor::io
