// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace constrictor {

/// Seconds on a clock that never jumps.
inline double wall_seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

/// Seconds by phase, in the order of their names.
using SecondsByPhase = std::map<std::string, double>;

/// Adds the life time of a scope to one phase.
class PhaseTimer {
 public:
  PhaseTimer(SecondsByPhase& phases, std::string phase)
      : phases_(phases), phase_(std::move(phase)), start_(wall_seconds()) {}
  ~PhaseTimer() { phases_[phase_] += wall_seconds() - start_; }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  SecondsByPhase& phases_;
  std::string phase_;
  double start_;
};

}  // namespace constrictor
