// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `constrictor status` and a curious person read while a run goes on.

#include <filesystem>
#include <string>
#include <string_view>

#include "io/descriptor.hpp"
#include "io/run_file.hpp"

namespace constrictor::io {

/// "2026-02-03T04:05:06Z"
std::string now_utc();
std::string host_name();

/// log.jsonl: one JSON object a line, in the file as soon as the call returns.
class RunLog {
 public:
  /// Goes on at the end of an existing file, on a new line whatever a killed run left there.
  explicit RunLog(const std::filesystem::path& path);
  /// {"time": ..., "event": event, facts...}; NaN and Inf become null.
  void add(std::string_view event, const Facts& facts);

 private:
  void append(std::string_view text);
  std::filesystem::path path_;
  Descriptor file_;
};

/// state.json
struct RunState {
  std::string state;  // running | preempted | failed | done | waiting (after a retry)
  Index blocks_done = 0;
  Index blocks = 0;
  double eta_seconds = 0;
  std::string host;      // filled in when empty
  std::int64_t pid = 0;  // filled in when 0
  std::string updated;   // always now
  std::string words;     // failed: the sentence that says why
  // Over all executions of the run so far; a killed one counts up to its last block.
  double seconds = 0;
  double rank_seconds = 0;  // seconds x ranks: hours of GPUs, where each rank has one
  double core_seconds = 0;  // seconds x ranks x threads
  // Of the last execution.
  std::int64_t ranks = 0;
  std::int64_t threads = 0;
  std::int64_t peak_memory_bytes = 0;  // of the rank that needed most
  std::int64_t disk_bytes = 0;         // all files of the run; known when it is done
};

void write_state(const std::filesystem::path& path, RunState state);
/// UserError when the file is missing, damaged or of another schema.
RunState read_state(const std::filesystem::path& path);

}  // namespace constrictor::io
