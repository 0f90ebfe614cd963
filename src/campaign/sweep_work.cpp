// SPDX-License-Identifier: Apache-2.0
#include "campaign/sweep_work.hpp"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "campaign/sweep_child.hpp"
#include "campaign/sweep_plan.hpp"
#include "campaign/sweep_progress.hpp"
#include "core/error.hpp"
#include "core/stop_flag.hpp"
#include "core/threads.hpp"
#include "core/timer.hpp"
#include "io/run_lock.hpp"
#include "io/sweep_text.hpp"
#include "pipeline/report_lines.hpp"

namespace constrictor::campaign {
namespace {

constexpr auto pause_between_looks = std::chrono::milliseconds(5);
constexpr double seconds_between_searches = 1;  // while others hold what is left
constexpr int most_attempts = 3;                // of a run that signals end

class Worker {
 public:
  Worker(const Sweep& sweep, const SweepOptions& options, pipeline::Screen& screen)
      : sweep_(sweep),
        options_(options),
        screen_(screen),
        claims_(claims_folder(sweep), options.timing),
        settled_(sweep.runs.size(), false),
        slot_in_use_(static_cast<std::size_t>(options.jobs), false),
        cores_(usable_cores()) {}

  /// Returns when nothing is left to do; throws what is left to say.
  void work() {
    bool told = false;
    while (true) {
      if (stop_requested() && !told) {
        for (const SweepChild& child : children_) child.signal(SIGUSR1);
        screen_.line("asked to stop by " + stop_signal());
        told = true;
      }
      reap();
      beat();
      const bool stopping = stop_requested() || end_;
      try {
        if (!stopping && static_cast<int>(children_.size()) < options_.jobs) fill();
      } catch (const FileSystemError& error) {
        end_ = error;  // what runs may finish
        continue;
      }
      if (children_.empty() && (stopping || left_ == Left::nothing)) break;
      std::this_thread::sleep_for(pause_between_looks);
    }
    if (end_) throw Failure(*end_);
    if (stop_requested())
      throw Preempted("asked to stop by " + stop_signal() +
                      "; run the same command again to go on");
    if (failed_ > 0)
      throw Failure(ExitCode::anything_else,
                    std::to_string(failed_) + (failed_ == 1 ? " run" : " runs") +
                        " failed; `constrictor status` says why, `constrictor retry --failed` lets "
                        "them run again");
  }
  std::size_t done() const { return done_; }

 private:
  enum class Left { unknown, nothing, in_doubt };

  /// Starts runs while there are free places and free runs.
  void fill() {
    if (left_ != Left::unknown && wall_seconds() < next_search_) return;
    while (static_cast<int>(children_.size()) < options_.jobs && start_next()) {
    }
    next_search_ = wall_seconds() + seconds_between_searches;
  }

  /// Takes the first run that nobody has. False when there is none; left_ says whether it is worth
  /// looking again.
  bool start_next() {
    left_ = Left::nothing;
    for (std::size_t i = 0; i < sweep_.runs.size(); ++i) {
      if (settled_[i]) continue;
      const SweepRun& run = sweep_.runs[i];
      if (settle(i)) continue;
      if (!io::holder_on_this_host(run.folder)
               .empty()) {  // started by hand, or outlived its worker
        left_ = Left::in_doubt;
        continue;
      }
      auto claim = io::Claim::take(claims_, run.run_id);
      if (!claim) {
        look_at_other_worker(run);
        continue;
      }
      if (settle(i)) {  // another one finished it since we looked
        claim->remove_all();
        continue;
      }
      start(i, std::move(*claim));
      left_ = Left::unknown;
      return true;
    }
    return false;
  }

  /// True for runs that are done or failed: nobody needs to look at them again.
  bool settle(std::size_t i) {
    const Progress progress = stored_progress(sweep_.runs[i]).progress;
    settled_[i] = progress == Progress::done || progress == Progress::failed;
    return settled_[i];
  }

  /// A holder that has missed heartbeats may be dead: then its run will be free soon.
  void look_at_other_worker(const SweepRun& run) {
    const auto other = claims_.seen(run.run_id);
    if (!other || !other->alive || other->age_seconds > 3 * options_.timing.heartbeat_seconds)
      left_ = Left::in_doubt;
  }

  void start(std::size_t i, io::Claim claim) {
    const SweepRun& run = sweep_.runs[i];
    if (!claim.taken_over_from().empty())
      screen_.warning(run.run_id + ": taken over from " + claim.taken_over_from() +
                      ", which is dead");
    int slot = 0;
    while (slot_in_use_[static_cast<std::size_t>(slot)]) ++slot;
    children_.emplace_back(run, i, slot, std::move(claim), options_,
                           cores_of_slot(cores_, slot, options_.jobs));
    slot_in_use_[static_cast<std::size_t>(slot)] = true;
    screen_.line("start   " + run.run_id + "  " + run_label(sweep_, run));
  }

  void beat() {
    if (wall_seconds() < next_beat_) return;
    for (SweepChild& child : children_) child.claim().beat();
    next_beat_ = wall_seconds() + options_.timing.heartbeat_seconds;
  }

  void reap() {
    for (auto child = children_.begin(); child != children_.end();) {
      const auto ending = child->ended();
      if (!ending) {
        ++child;
        continue;
      }
      judge(*child, *ending);
      slot_in_use_[static_cast<std::size_t>(child->slot())] = false;
      child = children_.erase(child);
      left_ = Left::unknown;
    }
  }

  /// What becomes of a run whose process has ended.
  void judge(SweepChild& child, const Ending& ending) {
    const std::size_t i = child.number();
    const SweepRun& run = sweep_.runs[i];
    const auto say = [&](const char* word, const std::string& more) {
      screen_.line(std::string(word) + run.run_id + "  " + run_label(sweep_, run) + ": " + more);
    };
    if (ending.exit_code == static_cast<int>(ExitCode::done)) {
      settled_[i] = true;
      ++done_;
      child.claim().remove_all();
      return say("done    ", pipeline::duration_text(child.seconds()));
    }
    const std::string words = child.last_words(ending);
    const bool file_system = ending.exit_code == static_cast<int>(ExitCode::file_system);
    const bool stopped =
        ending.exit_code == static_cast<int>(ExitCode::preempted) || ending.signal != 0;
    if (stop_requested()) return say("stopped ", words);  // it goes on when the sweep does
    if (file_system) {
      end_ = FileSystemError(words);
      try {
        record_waiting(run, words);
      } catch (const FileSystemError&) {  // what failed for the run fails here, too
      }
      return say("stopped ", words);
    }
    // A rank that outlived its worker; it may have gone since the run was refused.
    const bool in_work = words.find(io::in_work_words) != std::string::npos;
    if (in_work || !io::holder_on_this_host(run.folder).empty()) return say("left    ", words);
    if (!stopped && !has_begun(run) && (child.sentence().empty() || ending.exit_code == 127)) {
      end_ =
          UserError("no run can be started here: " + words);  // the launcher's fault, not a run's
      return say("stopped ", words);
    }
    if (stopped && ++attempts_[i] < most_attempts) return say("again   ", words);
    settled_[i] = true;
    ++failed_;
    try {
      if (child.claim().held()) record_failure(run, words);
    } catch (const FileSystemError& error) {
      screen_.warning(error.what());
    }
    say("failed  ", words);
  }

  static bool has_begun(const SweepRun& run) {
    std::error_code ignored;
    return std::filesystem::exists(std::filesystem::path(run.folder) / "run.h5", ignored);
  }

  const Sweep& sweep_;
  const SweepOptions& options_;
  pipeline::Screen& screen_;
  io::ClaimFolder claims_;
  std::list<SweepChild> children_;
  std::vector<bool> settled_;  // [runs]
  std::vector<bool> slot_in_use_;
  std::vector<int> cores_;
  std::map<std::size_t, int> attempts_;
  Left left_ = Left::unknown;
  double next_search_ = 0, next_beat_ = 0;
  std::size_t done_ = 0, failed_ = 0;
  std::optional<Failure> end_;  // why no other run is started
};

/// Beside the runs, for analysis/; whoever starts last has the newest deck.
void keep_plan(const Sweep& sweep, int ranks) {
  namespace fs = std::filesystem;
  const std::string name = fs::path(sweep.deck).stem().string() + ".plan.json";
  std::error_code error;
  fs::create_directories(sweep.out, error);
  if (error) throw FileSystemError(sweep.out + ": cannot be created: " + error.message());
  io::write_text_shared(fs::path(sweep.out) / name, io::sweep_text(sweep, ranks));
}

}  // namespace

void work_on_sweep(const std::string& deck, const SweepOptions& options, pipeline::Screen& screen) {
  const Sweep sweep = plan_sweep(deck, options.ranks);
  keep_plan(sweep, options.ranks);
  screen.header(
      {"sweep        " + deck + ": " + std::to_string(sweep.runs.size()) + " runs in " + sweep.out,
       "here         " + std::to_string(options.jobs) + " at a time, " +
           std::to_string(options.ranks) + (options.ranks == 1 ? " rank" : " ranks") + " each"});
  Worker worker(sweep, options, screen);
  const double start = wall_seconds();
  worker.work();
  screen.line("");
  screen.line("nothing left to take; " + std::to_string(worker.done()) + " runs finished here in " +
              pipeline::duration_text(wall_seconds() - start));
}

}  // namespace constrictor::campaign
