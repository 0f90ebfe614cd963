// SPDX-License-Identifier: Apache-2.0
#include "io/export_file.hpp"

#include <nlohmann/json.hpp>

#include "core/build_info.hpp"
#include "io/atomic_file.hpp"
#include "io/export_folder.hpp"
#include "io/run_log.hpp"

namespace constrictor::io {

void write_export_file(const std::filesystem::path& folder, const ExportFacts& facts) {
  using Json = nlohmann::ordered_json;
  const ExportFacts::Layer* worst = nullptr;
  nlohmann::json by_name = nlohmann::json::object();  // sorted, and quick to fill
  for (const ExportFacts::Layer& layer : facts.layers) {
    by_name[layer.name] = {{"bits", layer.scheme.bits},
                           {"group_size", layer.scheme.group_size},
                           {"symmetric", layer.scheme.symmetric},
                           {"rounding", layer.rounding}};
    if (worst == nullptr || layer.rounding > worst->rounding) worst = &layer;
  }
  Json runtimes = Json::object();
  for (const auto& [name, opens, words] : facts.runtimes)
    runtimes[name] = {{"opens", opens}, {"words", words}};
  Json json = {{"schema", 1},
               {"program", "constrictor"},
               {"version", build_info().version},
               {"git_sha", build_info().git_sha},
               {"written", now_utc()},
               {"format", facts.format},
               {"run", facts.run},
               {"run_id", facts.run_id},
               {"model_sha256", facts.model_sha256},
               {"sample_sha256", facts.sample_sha256},
               {"stored_as", facts.stored_as},
               {"runtimes", runtimes},
               {"not_copied", facts.not_copied}};
  if (worst != nullptr)
    json["largest_rounding"] = {{"layer", worst->name}, {"rounding", worst->rounding}};
  json["layers"] = by_name;
  write_text_atomically(folder / export_record, json.dump(1) + "\n");
}

}  // namespace constrictor::io
