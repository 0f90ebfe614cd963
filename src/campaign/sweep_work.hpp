// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "io/claim.hpp"
#include "pipeline/screen.hpp"

namespace constrictor::campaign {

/// `constrictor sweep`.
struct SweepOptions {
  int jobs = 1;          // runs at the same time; the cores are shared out among them
  int ranks = 1;         // of each run
  std::string launcher;  // starts a run of several ranks, "{ranks}" is replaced; "" = mpirun
  std::string program;   // the path of constrictor
  io::ClaimTiming timing;
};

/// Works on a sweep until no run is left that is neither done, failed nor in the hands of another
/// worker; any number of workers may do so at the same time. Every run is a process of its own,
///     mpirun -np <ranks> constrictor quantize <folder>/deck.yaml --run-dir <folder>
/// whose screen goes to <folder>/output.txt. A run that fails is recorded with its sentence and
/// left alone until `retry`; one that a signal ended is tried again, three times in all.
/// On SIGUSR1 or SIGTERM the runs are asked to stop, and Preempted is thrown when they have.
/// Failure too when runs failed here (after all others were worked on), and at once for a file
/// system that cannot be written: no other run would fare better.
void work_on_sweep(const std::string& deck, const SweepOptions& options, pipeline::Screen& screen);

}  // namespace constrictor::campaign
