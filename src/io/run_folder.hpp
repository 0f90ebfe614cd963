// SPDX-License-Identifier: Apache-2.0
#pragma once
// <out>/<run-id>/: deck.yaml, run.h5, blocks/NNNN.h5, log.jsonl, state.json, run.lock. One process
// writes; every file but the log appears under its final name only when it is complete.

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/answer_file.hpp"
#include "io/block_file.hpp"
#include "io/run_file.hpp"
#include "io/run_lock.hpp"
#include "io/run_log.hpp"

namespace constrictor::io {

class RunFolder {
 public:
  using Notice = std::function<void(const std::string&)>;

  /// Creates the folder or goes on in an existing one: takes its lock, removes what a killed
  /// process left half-written, and writes run.h5 with `provenance` (which replaces earlier facts
  /// of the same name, except `started`). FileSystemError when the folder cannot be written;
  /// UserError when another process holds it, or when it belongs to another run: another schema, or
  /// another run_id, tokens_sha256, model_sha256 or sample_sha256 than in `provenance`.
  RunFolder(std::filesystem::path folder, const Provenance& provenance, const Notice& notice = {},
            LockTiming timing = {});
  /// An existing run (to evaluate it); UserError when there is none.
  static RunFolder open(const std::filesystem::path& folder, const Notice& notice = {},
                        LockTiming timing = {});
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path block_path(Index block) const;
  bool has_block(Index block) const;
  BlockRecord read_block(Index block) const { return io::read_block(block_path(block)); }
  const RunFile& contents() const { return run_; }

  void write_deck(std::string_view resolved_text);
  /// The block's file, then its link in run.h5.
  void write_block(const BlockRecord& record);
  void add_provenance(const Provenance& facts);
  /// Adds to the seconds of earlier executions (attribute `seconds_by_phase`, JSON).
  void add_seconds(const SecondsByPhase& seconds);
  void add_scores(const Scores& scores);
  /// Links requests/*.h5 that were written since.
  void add_answers();
  void log(std::string_view event, const Facts& facts = {}) { log_.add(event, facts); }
  void write_state(const RunState& state) { io::write_state(folder_ / "state.json", state); }
  /// False once somebody removed our lock by hand.
  bool holds_lock() const { return lock_.held(); }

 private:
  void write_run();
  std::filesystem::path folder_;
  RunLock lock_;
  RunFile run_;
  RunLog log_;
};

/// The blocks of a run that are finished, by their files.
std::vector<Index> finished_blocks(const std::filesystem::path& run_folder);

}  // namespace constrictor::io
