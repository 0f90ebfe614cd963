// SPDX-License-Identifier: Apache-2.0
#include "io/bench_file.hpp"

#include <nlohmann/json.hpp>

#include "io/atomic_file.hpp"

namespace constrictor::io {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const BenchPhase& phase) {
  return {{"name", phase.name},
          {"seconds", phase.seconds},
          {"operations", phase.operations},
          {"operations_per_second", phase.rate()},
          {"share_of_peak", phase.peak > 0 ? phase.rate() / phase.peak : 0},
          {"bytes", phase.bytes}};
}

Json json_of(const BenchBlock& block) {
  Json phases = Json::array();
  for (const BenchPhase& phase : block.phases) phases.push_back(json_of(phase));
  return {{"index", block.index},
          {"drift", block.drift},
          {"seconds", block.seconds()},
          {"phases", std::move(phases)}};
}

Json json_of(const ScalingEstimate& estimate) {
  return {{"ranks", estimate.ranks},
          {"seconds", estimate.total},
          {"limit", estimate.limit},
          {"seconds_by_phase", estimate.seconds}};
}

template <class T>
Json list_of(const std::vector<T>& all) {
  Json list = Json::array();
  for (const T& one : all) list.push_back(json_of(one));
  return list;
}

}  // namespace

void write_bench(const std::filesystem::path& path, const BenchReport& r) {
  Json json = {{"schema", 1},
               {"shape", r.shape},
               {"model_blocks", r.model_blocks},
               {"sequences", r.sequences},
               {"length", r.length},
               {"seed", r.seed},
               {"deck", r.deck},
               {"device", r.device},
               {"ranks", r.ranks},
               {"threads", r.threads},
               {"products", r.products},
               {"library", r.library},
               {"reduction", r.reduction},
               {"version", r.version},
               {"started", r.started},
               {"float32_peak", r.float32_peak},
               {"bfloat16_peak", r.bfloat16_peak},
               {"host_peak_bytes", r.host_peak_bytes},
               {"device_peak_bytes", r.device_peak_bytes},
               {"blocks", list_of(r.blocks)},
               {"write_seconds", r.write_seconds},
               {"model_seconds", r.model_seconds}};
  if (r.model_seconds <= 0) json["model_seconds"] = nullptr;
  if (!r.scaling.empty()) {
    json["link_bytes_per_second"] = r.link;
    json["scaling"] = list_of(r.scaling);
  }
  write_text_atomically(path,
                        json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace constrictor::io
