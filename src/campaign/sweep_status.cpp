// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>

#include "campaign/sweep_plan.hpp"
#include "campaign/sweep_progress.hpp"
#include "core/error.hpp"
#include "core/threads.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::campaign {
namespace {

constexpr double seconds_between_looks = 2;

std::string hours_text(double seconds) {
  char text[48];
  std::snprintf(text, sizeof text, "%.3g", seconds / 3600);
  return text;
}

std::string counted(std::size_t runs) {
  return std::to_string(runs) + (runs == 1 ? " run" : " runs");
}

pipeline::Screen::Row row_of(const Sweep& sweep, const SweepRun& run, const RunProgress& found) {
  static const std::map<Progress, const char*> words = {{Progress::done, "done"},
                                                        {Progress::running, "running"},
                                                        {Progress::waiting, "waiting"},
                                                        {Progress::failed, "failed"}};
  const io::RunState& state = found.state;
  const bool runs = found.progress == Progress::running;
  // Of a run that has just begun the file still tells of the time before.
  const bool known = runs && state.state == "running";
  std::string blocks = "-", to_go = "-", note = found.words;
  if (state.blocks > 0)
    blocks = std::to_string(state.blocks_done) + " of " + std::to_string(state.blocks);
  if (known && state.blocks_done == state.blocks) note = "evaluation";
  if (known && state.eta_seconds > 0) to_go = pipeline::duration_text(state.eta_seconds);
  if (found.progress == Progress::done) note = "took " + pipeline::duration_text(state.seconds);
  if (runs) note += (note.empty() ? "" : ", ") + found.holder;
  return {run.run_id, run_label(sweep, run), words.at(found.progress), blocks, to_go, note};
}

/// True when nothing runs or waits any more.
bool show_once(const Sweep& sweep, const StatusOptions& options, pipeline::Screen& screen) {
  const auto all = progress_of(sweep);
  std::map<Progress, std::size_t> counts;
  std::vector<pipeline::Screen::Row> rows{{"run", "what", "state", "blocks", "to go", ""}};
  double rank_seconds = 0, core_seconds = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const RunProgress& found = all[i];
    ++counts[found.progress];
    rank_seconds += found.state.rank_seconds;
    core_seconds += found.state.core_seconds;
    const bool quiet = found.progress == Progress::done ||
                       (found.progress == Progress::waiting && found.words.empty());
    if (options.all || !quiet) rows.push_back(row_of(sweep, sweep.runs[i], found));
  }
  screen.line("sweep        " + sweep.deck + ": " + counted(all.size()) + " in " + sweep.out);
  screen.line("done         " + std::to_string(counts[Progress::done]) + ", running " +
              std::to_string(counts[Progress::running]) + ", waiting " +
              std::to_string(counts[Progress::waiting]) + ", failed " +
              std::to_string(counts[Progress::failed]));
  const bool on_devices = sweep.runs[0].spec.run.device == "cuda";
  screen.line("spent        " + (on_devices ? hours_text(rank_seconds) + " GPU-hours, " : "") +
              hours_text(core_seconds) + " core-hours");
  std::vector<io::RunState> states;
  for (const RunProgress& found : all) states.push_back(found.state);
  Sweep corrected = sweep;
  apply(calibrate(sweep, states, 1), corrected);
  double left = 0;  // seconds of all cores together
  for (std::size_t i = 0; i < all.size(); ++i) {
    const io::RunState& state = states[i];
    const double to_do = state.blocks > 0 ? 1 - static_cast<double>(state.blocks_done) /
                                                    static_cast<double>(state.blocks)
                                          : 1;
    if (all[i].progress != Progress::done && all[i].progress != Progress::failed)
      left += to_do * corrected.runs[i].predicted.seconds * thread_count();
  }
  if (left > 0) screen.line("to go        about " + hours_text(left) + " core-hours");
  if (rows.size() > 1) {
    screen.line("");
    screen.table(rows);
  }
  if (counts[Progress::failed] > 0)
    screen.line("failed runs wait for `constrictor retry " + sweep.deck + " --failed`");
  return counts[Progress::running] + counts[Progress::waiting] == 0;
}

}  // namespace

void show_status(const std::string& deck, const StatusOptions& options, pipeline::Screen& screen) {
  const Sweep sweep = plan_sweep(deck, 1);
  while (!show_once(sweep, options, screen) && options.watch) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds_between_looks));
    screen.line("");
  }
}

void retry_failed(const std::string& deck, pipeline::Screen& screen) {
  const Sweep sweep = plan_sweep(deck, 0);
  const auto all = progress_of(sweep);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].progress != Progress::failed) continue;
    if (all[i].state.state != "failed") {  // of another schema: not ours to change
      screen.warning(run_label(sweep, sweep.runs[i]) + ": " + all[i].words);
      continue;
    }
    io::RunState state = all[i].state;
    state.state = "waiting";
    io::write_state(std::filesystem::path(sweep.runs[i].folder) / "state.json", state);
    screen.line(sweep.runs[i].run_id + "  " + run_label(sweep, sweep.runs[i]) + ": " +
                all[i].words);
    ++changed;
  }
  screen.line(counted(changed) + " that failed may run again");
}

}  // namespace constrictor::campaign
