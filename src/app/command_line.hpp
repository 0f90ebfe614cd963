// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "export/export_run.hpp"
#include "pipeline/generate.hpp"

namespace constrictor::app {

enum class Command {
  help,
  version,
  quantize,
  evaluate,
  inspect,
  tokens,
  tasks,
  generate,       // with token ids
  generate_text,  // by analysis/generate.py, which calls the former
  plan,
  sweep,
  status,
  retry,
  bench,
  export_
};

/// What the user asked for. UserError when it makes no sense: one sentence, and where help is.
struct CommandLine {
  Command command = Command::help;
  std::string help;             // help: the text to print
  std::string deck;             // quantize; plan, sweep, status, retry: the sweep deck
  std::string run_dir;          // quantize: --run-dir; evaluate, inspect: the run
  std::string from_statistics;  // quantize
  bool dry_run = false;         // quantize
  bool force = false;           // quantize
  std::string model;  // evaluate: --model instead of a run; export: in place of the deck's
  std::vector<std::string> tokens;     // evaluate: --tokens
  std::vector<std::string> requests;   // evaluate: --requests
  std::string out;                     // evaluate: --out, of answers
  Index rank_tokens = 0;               // evaluate: --rank-tokens
  std::vector<std::string> overrides;  // quantize, evaluate, bench: --set
  bench::BenchOptions bench;           // bench: device and threads are filled in later
  exports::ExportOptions exported;     // export
  pipeline::GenerateOptions generate;  // generate
  std::vector<std::string> arguments;  // tokens, tasks, generate_text: handed on
  int ranks = 1;                       // plan, sweep: of each run
  int jobs = 1;                        // sweep: runs at the same time
  int dead_after_seconds = 180;        // sweep
  std::string launcher;                // sweep: "" = mpirun
  bool json = false;                   // plan
  bool all = false;                    // status
  bool watch = false;                  // status
};

/// `words`: argv without the program's name.
CommandLine parse_command_line(const std::vector<std::string>& words);

/// True for the commands that work on all ranks; decided from the first word alone, so that
/// mistakes in the rest are reported once and not by every rank. An unknown command counts too.
bool needs_ranks(const std::vector<std::string>& words);

}  // namespace constrictor::app
