// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "campaign/sweep_plan.hpp"
#include "core/threads.hpp"

namespace constrictor::campaign {

double Ratios::median() const {
  if (values.empty()) return 1;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle]);
}

std::string Ratios::text() const {
  if (values.empty()) return "unknown";
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  char text[96];
  std::snprintf(text, sizeof text, "%.2f (%.2f to %.2f)", median(), *low, *high);
  return text;
}

Calibration calibrate(const Sweep& sweep, const std::vector<io::RunState>& states, int ranks) {
  Calibration found;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const io::RunState& state = states[i];
    const SweepPrediction& predicted = sweep.runs[i].predicted;
    if (state.state != "done" || !(state.core_seconds > 0) || !(predicted.seconds > 0)) continue;
    // Seconds of all cores together: the run may have had another number of ranks and threads.
    const double cores = static_cast<double>(ranks) * thread_count();
    const double seconds = state.core_seconds / (predicted.seconds * cores);
    found.seconds.values.push_back(seconds);
    found.seconds_of[sweep.runs[i].spec.quant.method].values.push_back(seconds);
    if (state.peak_memory_bytes > 0 && state.ranks == ranks)
      found.memory.values.push_back(static_cast<double>(state.peak_memory_bytes) /
                                    predicted.bytes_per_rank);
    if (state.disk_bytes > 0)
      found.disk.values.push_back(static_cast<double>(state.disk_bytes) / predicted.disk_bytes);
  }
  return found;
}

void apply(const Calibration& calibration, Sweep& sweep) {
  for (SweepRun& run : sweep.runs) {
    const auto own = calibration.seconds_of.find(run.spec.quant.method);
    run.predicted.seconds *=
        own == calibration.seconds_of.end() ? calibration.seconds.median() : own->second.median();
    run.predicted.bytes_per_rank *= calibration.memory.median();
    run.predicted.disk_bytes *= calibration.disk.median();
  }
}

}  // namespace constrictor::campaign
