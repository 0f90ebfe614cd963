// SPDX-License-Identifier: Apache-2.0
#pragma once
// The steps between command line and work.

#include <string>

#include "app/command_line.hpp"
#include "comm/communicator.hpp"
#include "data/specs.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::app {

/// Collective. Rank 0 reads the deck (for `evaluate` that of the run, or defaults with --model; for
/// `bench` defaults)
/// with its overrides; all ranks get the same RunSpec, or all fail with its sentence.
RunSpec read_deck(const comm::Communicator& ranks, const CommandLine& line);

/// Collective. Gives this rank its threads and cores, among the ranks of its node that may use the
/// same ones; `wanted` 0 = cores / ranks. Returns what was done, in words.
std::string start_threads(const comm::Communicator& ranks, int wanted);

/// `constrictor plan` and `constrictor sweep`.
void run_plan(const CommandLine& line, pipeline::Screen& screen);
void run_sweep(const CommandLine& line, pipeline::Screen& screen);

/// `constrictor export`, which one process does.
void run_export(const CommandLine& line, pipeline::Screen& screen);

/// `constrictor generate` with token ids: prints those that follow, one a line, as they come.
void run_generate(const CommandLine& line);

/// `constrictor tokens`, `tasks` and `generate`: replaces this process by the Python program
/// analysis/<command>.py. Throws when there is no Python or no such program.
[[noreturn]] void run_python(const std::string& command, const std::vector<std::string>& arguments);

}  // namespace constrictor::app
