// SPDX-License-Identifier: Apache-2.0
#include "io/block_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/h5.hpp"
#include "io/layer_record.hpp"

namespace constrictor::io {
namespace {

constexpr std::int64_t block_schema = 1;

/// Square matrices on top of each other: [heads n x n] is written as [heads, n, n].
void write_stacked(H5Group& group, const std::string& name, const Matrix<float>& matrices) {
  if (matrices.empty()) return;
  const Index n = matrices.cols();
  CONSTRICTOR_REQUIRE(matrices.rows() % n == 0, name, matrices.rows(), n);
  group.write<float>(name, matrices.values(), {matrices.rows() / n, n, n});
}

Matrix<float> read_if_there(const H5Group& group, const std::string& name) {
  return group.has(name) ? group.matrix<float>(name) : Matrix<float>();
}

void write_extras(H5Group& group, const std::string& layer, const BlockRecord& record) {
  if (const auto found = record.statistics.find(layer); found != record.statistics.end()) {
    H5Group statistics = group.create_group("statistics");
    write_stacked(statistics, "H_in", found->second.input_hessian);
    write_stacked(statistics, "D", found->second.input_drift);
    write_stacked(statistics, "H_out", found->second.output_hessian);
    statistics.write("weight", found->second.weight);
  }
  if (const auto found = record.activations.find(layer); found != record.activations.end()) {
    H5Group activations = group.create_group("activations");
    activations.write("quantized", found->second.quantized);
    activations.write("full", found->second.full);
  }
}

void read_extras(const H5Group& group, const std::string& layer, BlockRecord& record) {
  if (group.has("statistics")) {
    const H5Group statistics = group.group("statistics");
    record.statistics[layer] = {read_if_there(statistics, "H_in"), read_if_there(statistics, "D"),
                                read_if_there(statistics, "H_out"),
                                read_if_there(statistics, "weight")};
  }
  if (group.has("activations")) {
    const H5Group activations = group.group("activations");
    record.activations[layer] = {activations.matrix<float>("quantized"),
                                 activations.matrix<float>("full")};
  }
}

BlockRecord read(const H5File& file) {
  BlockRecord record;
  record.index = file.attribute<std::int64_t>("block");
  record.output_error = file.attribute<double>("output_error");
  record.relative_output_error = file.attribute<double>("output_error_relative");
  record.output_cosine = file.attribute<double>("output_cosine");
  record.peak_memory_bytes = file.attribute<std::int64_t>("peak_memory_bytes");
  if (file.has_attribute("peak_device_memory_bytes"))
    record.peak_device_memory_bytes = file.attribute<std::int64_t>("peak_device_memory_bytes");
  record.seconds_by_phase =
      nlohmann::json::parse(file.attribute<std::string>("seconds_by_phase")).get<SecondsByPhase>();
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const std::string& name : file.names())
    order.emplace_back(file.group(name).attribute<std::int64_t>("position"), name);
  std::sort(order.begin(), order.end());
  for (const auto& [position, name] : order) {
    const H5Group group = file.group(name);
    record.layers.push_back(read_layer(group, name));
    read_extras(group, name, record);
  }
  return record;
}

}  // namespace

void write_block(const std::filesystem::path& path, const BlockRecord& record) {
  write_h5_atomically(path, [&](H5File& file) {
    file.set_attribute("schema", block_schema);
    file.set_attribute("block", record.index);
    file.set_attribute("output_error", record.output_error);
    file.set_attribute("output_error_relative", record.relative_output_error);
    file.set_attribute("output_cosine", record.output_cosine);
    file.set_attribute("seconds_by_phase", nlohmann::json(record.seconds_by_phase).dump());
    file.set_attribute("peak_memory_bytes", record.peak_memory_bytes);
    if (record.peak_device_memory_bytes > 0)
      file.set_attribute("peak_device_memory_bytes", record.peak_device_memory_bytes);
    for (std::size_t i = 0; i < record.layers.size(); ++i) {
      H5Group group = file.create_group(record.layers[i].name);
      write_layer(group, record.layers[i], static_cast<Index>(i));
      write_extras(group, record.layers[i].name, record);
    }
  });
}

BlockRecord read_block(const std::filesystem::path& path) {
  try {
    const H5File file = H5File::open(path);
    const auto schema = file.attribute<std::int64_t>("schema");
    if (schema != block_schema)
      throw UserError(path.string() + ": has block schema " + std::to_string(schema) +
                      "; this program knows 1");
    return read(file);
  } catch (const LibraryError& error) {
    throw UserError(path.string() + ": is damaged (" + error.what() +
                    "); remove it to have this block quantized again");
  } catch (const nlohmann::json::exception&) {
    throw UserError(path.string() +
                    ": is damaged (seconds_by_phase is not valid JSON); remove it "
                    "to have this block quantized again");
  }
}

}  // namespace constrictor::io
