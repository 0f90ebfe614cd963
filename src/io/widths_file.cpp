// SPDX-License-Identifier: Apache-2.0
#include "io/widths_file.hpp"

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "io/json_section.hpp"

namespace constrictor::io {

void write_widths(const std::filesystem::path& path, double average,
                  const std::vector<LayerWidths>& layers) {
  // A line a layer: people read this file.
  std::string text =
      "{\"schema\": 1, \"average_bits\": " + nlohmann::json(average).dump() + ", \"layers\": [";
  const char* separator = "\n";
  for (const LayerWidths& layer : layers) {
    const nlohmann::ordered_json line = {
        {"block", layer.block},    {"layer", layer.layer}, {"chosen", layer.chosen},
        {"bits", layer.bits},      {"loss", layer.loss},   {"output_error", layer.output_error},
        {"weights", layer.weights}};
    text += separator + line.dump();
    separator = ",\n";
  }
  write_text_atomically(path, text + "\n]}\n");
}

std::vector<LayerWidths> read_widths(const std::filesystem::path& path) {
  std::vector<LayerWidths> layers;
  try {
    const nlohmann::json json = read_json(path);
    if (json.at("schema") != 1)
      throw UserError(path.string() + ": is of schema " + json.at("schema").dump() +
                      ", this version reads 1");
    for (const nlohmann::json& line : json.at("layers"))
      layers.push_back({line.at("block").get<Index>(), line.at("layer").get<std::string>(),
                        line.at("weights").get<Index>(), line.at("bits").get<std::vector<int>>(),
                        line.at("loss").get<std::vector<double>>(),
                        line.at("output_error").get<std::vector<double>>(),
                        line.at("chosen").get<int>()});
  } catch (const nlohmann::json::exception&) {
    throw UserError(path.string() +
                    ": is damaged; remove it to have the widths of the layers measured again");
  }
  return layers;
}

}  // namespace constrictor::io
