// SPDX-License-Identifier: Apache-2.0
#include "io/block_reader.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.hpp"
#include "data/words.hpp"
#include "io/layer_record.hpp"

namespace constrictor::io {
namespace {

LayerOutline outline_of(const H5Group& group, const std::string& name) {
  LayerOutline outline;
  outline.name = name;
  outline.bits = static_cast<int>(group.attribute<std::int64_t>("bits"));
  outline.symmetric = group.attribute<bool>("symmetric");
  const auto role = parse_word<Role>(group.attribute<std::string>("role"));
  if (!role) throw LibraryError("attribute role of " + name + " is no role");
  outline.role = *role;
  outline.damping = group.attribute<double>("damping_asked");
  const std::vector<Index> codes = group.shape("codes");
  const auto zero = group.matrix<float>("zero"), scale = group.matrix<float>("scale");
  if (codes.size() != 2 || zero.rows() != codes[0] || zero.cols() < 1 ||
      codes[1] % zero.cols() != 0)
    throw LibraryError("the shapes of codes and zero of " + name + " do not fit each other");
  outline.out = codes[0];
  outline.in = codes[1];
  outline.groups = zero.cols();
  const auto [smallest, largest] = std::minmax_element(zero.values().begin(), zero.values().end());
  if (!zero.empty()) outline.smallest_zero = *smallest, outline.largest_zero = *largest;
  for (const float s : scale.values()) outline.largest_scale = std::max(outline.largest_scale, s);
  outline.whole_zeros = std::all_of(zero.values().begin(), zero.values().end(),
                                    [](float z) { return std::nearbyint(z) == z; });
  return outline;
}

/// LibraryError -> UserError with the path.
template <class Read>
auto or_refused(const std::filesystem::path& path, Read&& read) {
  try {
    return read();
  } catch (const LibraryError& error) {
    throw UserError(path.string() + ": is damaged (" + error.what() +
                    "); remove it to have this block quantized again");
  }
}

}  // namespace

BlockReader::BlockReader(std::filesystem::path path) : path_(std::move(path)) {
  or_refused(path_, [&] {
    const H5File file = H5File::open(path_);
    const auto schema = file.attribute<std::int64_t>("schema");
    if (schema != 1)
      throw UserError(path_.string() + ": has block schema " + std::to_string(schema) +
                      "; this program knows 1");
    std::vector<std::pair<std::int64_t, std::string>> order;
    for (const std::string& name : file.names())
      if (const H5Group group = file.group(name); group.has("codes"))
        order.emplace_back(group.attribute<std::int64_t>("position"), name);
    std::sort(order.begin(), order.end());
    for (const auto& [position, name] : order)
      layers_.push_back(outline_of(file.group(name), name));
  });
}

QuantizedLayer BlockReader::layer(const std::string& name) const {
  return or_refused(path_, [&] { return read_layer(H5File::open(path_).group(name), name); });
}

}  // namespace constrictor::io
