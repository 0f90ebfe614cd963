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

/// Told when phases begin and end. A device's layer that has a profiler puts its ranges here, so
/// that core/ knows of none.
struct PhaseObserver {
  void (*begin)(const char* phase) = nullptr;
  void (*end)() = nullptr;
};
inline PhaseObserver phase_observer;

/// Adds the life time of a scope to one phase.
class PhaseTimer {
 public:
  PhaseTimer(SecondsByPhase& phases, std::string phase)
      : phases_(phases),
        phase_(std::move(phase)),
        observer_(phase_observer),
        start_(wall_seconds()) {
    if (observer_.begin != nullptr) observer_.begin(phase_.c_str());
  }
  ~PhaseTimer() {
    phases_[phase_] += wall_seconds() - start_;
    if (observer_.end != nullptr) observer_.end();
  }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

 private:
  SecondsByPhase& phases_;
  std::string phase_;
  PhaseObserver observer_;  // the one that was told of the beginning
  double start_;
};

}  // namespace constrictor
