// SPDX-License-Identifier: Apache-2.0
#include "io/sweep_text.hpp"

#include <nlohmann/json.hpp>

namespace constrictor::io {

namespace {

using Json = nlohmann::ordered_json;

Json axis_json(const SweepAxis& axis) {
  Json json = {{"label", axis.label}, {"keys", axis.keys}, {"values", axis.values}};
  json["cell"] = nullptr;
  if (axis.cell == CellReduction::best) json["cell"] = "best";
  if (axis.cell == CellReduction::mean) json["cell"] = "mean";
  return json;
}

}  // namespace

std::string sweep_text(const Sweep& sweep, int ranks) {
  Json axes = Json::array();
  for (const SweepAxis& axis : sweep.axes) axes.push_back(axis_json(axis));
  const Json head = {{"schema", 1},
                     {"sweep", sweep.deck},
                     {"out", sweep.out},
                     {"ranks", ranks},
                     {"axes", std::move(axes)}};
  constexpr auto replace = nlohmann::json::error_handler_t::replace;
  // One line a run, so that people can read and compare it, too.
  std::string text = head.dump(1, ' ', false, replace);
  text.resize(text.rfind('\n'));
  text += ",\n \"runs\": [";
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const SweepRun& run = sweep.runs[i];
    Json labels;
    for (std::size_t a = 0; a < sweep.axes.size(); ++a) labels[sweep.axes[a].label] = run.names[a];
    const Json json = {{"run_id", run.run_id},
                       {"folder", run.folder},
                       {"labels", std::move(labels)},
                       {"predicted",
                        {{"seconds", run.predicted.seconds},
                         {"bytes_per_rank", run.predicted.bytes_per_rank},
                         {"disk_bytes", run.predicted.disk_bytes}}}};
    text += (i == 0 ? "\n  " : ",\n  ") + json.dump(-1, ' ', false, replace);
  }
  return text + "\n ]\n}\n";
}

}  // namespace constrictor::io
