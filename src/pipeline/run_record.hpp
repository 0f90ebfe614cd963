// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.hpp"
#include "core/timer.hpp"
#include "data/layer_widths.hpp"
#include "io/run_folder.hpp"
#include "pipeline/job.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::pipeline {

/// Facts about this execution for run.h5.
struct ExecutionFacts {
  std::string device;     // description
  int threads = 1;        // per rank
  std::string libraries;  // that multiply
};

/// The run folder as all ranks see it: rank 0 writes, a failure reaches everybody.
class RunRecord {
 public:
  /// Collective: creates or reopens the folder and takes its lock.
  RunRecord(const comm::Communicator& ranks, const Job& job, const ExecutionFacts& facts,
            Screen& screen);
  ~RunRecord();

  bool has_block(Index block) const { return has_block_[static_cast<std::size_t>(block)]; }
  Index blocks_done() const;
  /// Every rank reads the file.
  std::vector<QuantizedLayer> read_block(Index block) const;
  io::BlockRecord read_record(Index block) const;

  /// The scores of these token files from an earlier execution, when all of them are there.
  std::optional<std::vector<Scores>> stored_scores(const std::vector<Tokens>& sets, bool kl) const;

  /// Collective. The widths that an earlier execution chose; none when it did not come that far.
  std::vector<LayerWidths> stored_widths() const;
  void keep_widths(double average, const std::vector<LayerWidths>& layers);  // collective

  /// Collective. Returns while rank 0 is still writing: compressing a large block takes as long as
  /// quantizing it on a device. A failure shows at the next collective call here.
  void write_block(io::BlockRecord record, double eta_seconds);
  /// Collective: the last block is on disk under its final name. Before any file is read.
  void finish_writing();
  void write_scores(const std::vector<Scores>& scores);  // collective
  /// Collective. Marks the run as done; `seconds` are added to those of earlier executions.
  void finish(const SecondsByPhase& seconds);
  void log(const std::string& event, const io::Facts& facts = {});  // rank 0 only, others return
  /// Marks the run as preempted or failed; never throws.
  void leave(const std::string& state, const std::string& words,
             const SecondsByPhase& seconds) noexcept;

 private:
  void write_state(const std::string& state, double eta_seconds, const std::string& words = "");
  void write(const io::BlockRecord& record, double eta_seconds);
  const comm::Communicator& ranks_;
  std::string folder_path_;
  std::unique_ptr<io::RunFolder> folder_;  // rank 0
  std::vector<char> has_block_;
  io::RunState earlier_;  // rank 0: what earlier executions took
  io::RunState state_;
  double start_ = wall_seconds();
  std::future<void> writing_;  // rank 0
};

}  // namespace constrictor::pipeline
