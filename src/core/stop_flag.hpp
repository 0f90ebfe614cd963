// SPDX-License-Identifier: Apache-2.0
#pragma once
// SIGTERM and SIGUSR1 (Slurm's warning before the time limit) ask for an early end. The handler
// only sets a flag; the pipeline looks at it between steps, agrees with the other ranks and leaves
// with Preempted. mpirun forwards SIGUSR1 to all ranks; on its own SIGTERM it kills them after a
// second.

#include <string>

namespace constrictor {

/// From now on SIGTERM and SIGUSR1 set the flag instead of ending the program.
void install_stop_handlers();

/// True once this rank was asked to stop.
bool stop_requested();

/// "SIGUSR1", or "" when nobody asked.
std::string stop_signal();

/// Preempted when a signal has asked for an early end; call between chunks of work.
void leave_when_asked();

/// Sets the flag as a signal would; 0 clears it (tests).
void request_stop(int signal_number);

}  // namespace constrictor
