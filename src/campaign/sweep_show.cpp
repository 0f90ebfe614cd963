// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "campaign/sweep_plan.hpp"
#include "campaign/sweep_progress.hpp"
#include "core/memory.hpp"
#include "core/threads.hpp"
#include "io/sweep_text.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::campaign {
namespace {

struct Planned {
  Sweep sweep;
  std::vector<RunProgress> progress;
  Calibration calibration;
};

Planned planned(const std::string& deck, int ranks) {
  Planned plan;
  plan.sweep = plan_sweep(deck, ranks);
  plan.progress = progress_of(plan.sweep);
  std::vector<io::RunState> states;
  for (const RunProgress& run : plan.progress) states.push_back(run.state);
  plan.calibration = calibrate(plan.sweep, states, ranks);
  apply(plan.calibration, plan.sweep);
  return plan;
}

const char* word_of(Progress progress) {
  switch (progress) {
    case Progress::done:
      return "done";
    case Progress::running:
      return "running";
    case Progress::failed:
      return "failed";
    default:
      return "";
  }
}

}  // namespace

void show_plan(const std::string& deck, int ranks, pipeline::Screen& screen) {
  const Planned plan = planned(deck, ranks);
  const Sweep& sweep = plan.sweep;
  std::vector<pipeline::Screen::Row> rows{{"run"}};
  for (const SweepAxis& axis : sweep.axes) rows[0].push_back(axis.label);
  for (const char* name : {"memory a rank", "time", "disk", ""}) rows[0].push_back(name);
  SweepPrediction left;  // of runs that are not done
  std::size_t to_do = 0;
  for (std::size_t i = 0; i < sweep.runs.size(); ++i) {
    const SweepRun& run = sweep.runs[i];
    pipeline::Screen::Row& row = rows.emplace_back(pipeline::Screen::Row{run.run_id});
    row.insert(row.end(), run.names.begin(), run.names.end());
    row.push_back(bytes_text(run.predicted.bytes_per_rank));
    row.push_back(pipeline::duration_text(run.predicted.seconds));
    row.push_back(bytes_text(run.predicted.disk_bytes));
    row.push_back(word_of(plan.progress[i].progress));
    if (plan.progress[i].progress == Progress::done) continue;
    ++to_do;
    left.seconds += run.predicted.seconds;
    left.disk_bytes += run.predicted.disk_bytes;
    left.bytes_per_rank = std::max(left.bytes_per_rank, run.predicted.bytes_per_rank);
  }
  screen.table(rows);
  const double hours = left.seconds * ranks * thread_count() / 3600;
  char cores[96];
  std::snprintf(cores, sizeof cores, "%.3g core-hours (%d x %d)", hours, ranks, thread_count());
  screen.line("");
  screen.line("runs         " + std::to_string(sweep.runs.size()) + " in " + sweep.out + ", " +
              std::to_string(to_do) + " to do");
  if (to_do > 0) {
    screen.line("time         " + pipeline::duration_text(left.seconds) + " one after another, " +
                cores);
    screen.line("memory       " + bytes_text(left.bytes_per_rank) + " a rank at most");
    screen.line("disk         " + bytes_text(left.disk_bytes));
  }
  const Calibration& found = plan.calibration;
  if (found.seconds.values.empty()) {
    screen.line("predictions  good to a factor of two in time; no finished run to learn from yet");
  } else {
    screen.line("predictions  corrected by " + std::to_string(found.seconds.values.size()) +
                " finished runs; measured / predicted was in time " + found.seconds.text() +
                ", memory " + found.memory.text() + ", disk " + found.disk.text());
  }
  screen.line("nothing was started");
}

std::string plan_text(const std::string& deck, int ranks) {
  return io::sweep_text(planned(deck, ranks).sweep, ranks);
}

}  // namespace constrictor::campaign
