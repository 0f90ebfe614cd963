// SPDX-License-Identifier: Apache-2.0
#include "campaign/sweep_progress.hpp"

#include <filesystem>
#include <unordered_map>

#include "core/error.hpp"
#include "io/run_lock.hpp"

namespace constrictor::campaign {
namespace {

namespace fs = std::filesystem;

fs::path state_path(const SweepRun& run) { return fs::path(run.folder) / "state.json"; }

/// Progress of a run that says "running": its claim, or the lock of a run that was started by hand.
void judge_running(const SweepRun& run, RunProgress& found) {
  found.holder = io::holder_on_this_host(run.folder);
  if (!found.holder.empty()) {
    found.progress = Progress::running;
    return;
  }
  found.words = "interrupted";
}

}  // namespace

std::string claims_folder(const Sweep& sweep) { return (fs::path(sweep.out) / "claims").string(); }

RunProgress stored_progress(const SweepRun& run) {
  RunProgress found;
  std::error_code failed;
  const auto size = fs::file_size(state_path(run), failed);
  if (failed || size == 0) return found;
  try {
    found.state = io::read_state(state_path(run));
  } catch (const UserError& error) {
    const std::string words = error.what();
    found.words = words;
    if (words.find("is of schema") != std::string::npos) found.progress = Progress::failed;
    return found;
  }
  if (found.state.state == "done") found.progress = Progress::done;
  if (found.state.state == "failed") found.progress = Progress::failed;
  if (found.state.state != "running") found.words = found.state.words;
  return found;
}

std::vector<RunProgress> progress_of(const Sweep& sweep, io::ClaimTiming timing) {
  std::unordered_map<std::string, io::ClaimSeen> claims;
  for (io::ClaimSeen& claim : io::ClaimFolder(claims_folder(sweep), timing).seen())
    claims.emplace(claim.run, std::move(claim));
  std::vector<RunProgress> all;
  for (const SweepRun& run : sweep.runs) {
    RunProgress found = stored_progress(run);
    const auto claim = claims.find(run.run_id);
    if (found.progress == Progress::waiting || found.progress == Progress::failed) {
      if (claim != claims.end() && claim->second.alive) {
        found.progress = Progress::running;
        found.holder = claim->second.holder();
        found.words.clear();
      } else if (found.state.state == "running") {
        judge_running(run, found);
      }
    }
    all.push_back(std::move(found));
  }
  return all;
}

}  // namespace constrictor::campaign
