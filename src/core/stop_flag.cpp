// SPDX-License-Identifier: Apache-2.0
#include "core/stop_flag.hpp"

#include <csignal>

#include "core/error.hpp"

namespace constrictor {

namespace {
volatile std::sig_atomic_t received = 0;  // the only kind of object a handler may write
extern "C" void remember_signal(int number) { received = number; }
}  // namespace

void install_stop_handlers() {
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // reads and writes in progress go on
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
}

bool stop_requested() { return received != 0; }

std::string stop_signal() {
  const int number = received;
  if (number == 0) return "";
  if (number == SIGTERM) return "SIGTERM";
  if (number == SIGUSR1) return "SIGUSR1";
  return "signal " + std::to_string(number);
}

void leave_when_asked() {
  if (stop_requested())
    throw Preempted(stop_signal() + ": stopped as asked; run the same command again to go on");
}

void request_stop(int signal_number) { received = signal_number; }

}  // namespace constrictor
