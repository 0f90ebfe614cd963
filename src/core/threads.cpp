// SPDX-License-Identifier: Apache-2.0
#include "core/threads.hpp"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace constrictor {

namespace detail {

std::vector<int> parse_core_list(const std::string& text) {
  std::vector<int> cores;
  std::istringstream stream(text);
  for (std::string range; std::getline(stream, range, ',');) {
    char* end = nullptr;
    const long first = std::strtol(range.c_str(), &end, 10);
    if (end == range.c_str()) continue;
    const long last = *end == '-' ? std::strtol(end + 1, nullptr, 10) : first;
    for (long core = first; core <= last; ++core) cores.push_back(static_cast<int>(core));
  }
  return cores;
}

std::string core_list(const std::vector<int>& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size();) {
    std::size_t end = i + 1;
    while (end < cores.size() && cores[end] == cores[end - 1] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(cores[i]);
    if (end > i + 1) text += '-' + std::to_string(cores[end - 1]);
    i = end;
  }
  return text;
}

}  // namespace detail

namespace {

/// Room for 8192 processors: the default set ends at 1024 and then fails on large nodes.
struct CoreSet {
  static constexpr int most = 8192;
  cpu_set_t* set = CPU_ALLOC(most);
  std::size_t bytes = CPU_ALLOC_SIZE(most);
  CoreSet() { CPU_ZERO_S(bytes, set); }
  ~CoreSet() { CPU_FREE(set); }
  CoreSet(const CoreSet&) = delete;
  CoreSet& operator=(const CoreSet&) = delete;
};

/// Affinity mask of a process (0 = this thread), one entry per physical core; empty when
/// unreadable.
std::vector<int> cores_of(pid_t process) {
  CoreSet mask;
  if (sched_getaffinity(process, mask.bytes, mask.set) != 0) return {};
  std::vector<int> cores;
  for (int core = 0; core < CoreSet::most; ++core) {
    if (!CPU_ISSET_S(core, mask.bytes, mask.set)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(core) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    std::getline(file, siblings);
    const std::vector<int> twins = detail::parse_core_list(siblings);
    const bool seen = std::any_of(twins.begin(), twins.end(), [&](int twin) {
      return twin < core && CPU_ISSET_S(twin, mask.bytes, mask.set);
    });
    if (!seen) cores.push_back(core);
  }
  return cores;
}

/// Whole cores that the control group (version 2, then 1) grants; a large number without a quota.
int core_quota() {
  constexpr int unlimited = CoreSet::most;
  double quota = -1, period = 100000;
  std::string first;
  if (std::ifstream file("/sys/fs/cgroup/cpu.max"); file >> first >> period) {
    if (first != "max") quota = std::atof(first.c_str());
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return unlimited;
  return std::max(1, static_cast<int>(quota / period + 0.5));
}

void pin_this_thread(const std::vector<int>& cores) {
  CoreSet mask;
  for (int core : cores) CPU_SET_S(core, mask.bytes, mask.set);
  // A refusal costs speed, never a result: go on.
  (void)sched_setaffinity(0, mask.bytes, mask.set);
}

}  // namespace

std::vector<int> usable_cores() {
  // Read once: `apply` narrows the mask of the thread that asks.
  static const std::vector<int> cores = [] {
    std::vector<int> own = cores_of(0);
    const bool under_mpirun = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE") != nullptr;
    const bool binding_asked_for = std::getenv("OMPI_MCA_hwloc_base_binding_policy") != nullptr;
    if (own.size() == 1 && under_mpirun && !binding_asked_for) {
      const std::vector<int> launcher = cores_of(getppid());
      if (launcher.size() > own.size()) own = launcher;
    }
    if (own.empty()) own = {0};
    const auto quota = static_cast<std::size_t>(core_quota());
    if (own.size() > quota) own.resize(quota);
    return own;
  }();
  return cores;
}

ThreadPlan plan_threads(int wanted, const std::vector<int>& cores, NodePlace place) {
  const std::size_t ranks = static_cast<std::size_t>(std::max(1, place.ranks));
  const std::size_t number = static_cast<std::size_t>(place.number);
  const bool enough = cores.size() >= ranks;
  ThreadPlan plan;
  // The first ranks take the cores that are left over; with fewer cores than ranks all share all.
  if (enough) {
    const std::size_t share = cores.size() / ranks, extra = cores.size() % ranks;
    const std::size_t first = number * share + std::min(number, extra);
    const std::size_t count = share + (number < extra ? 1 : 0);
    plan.cores.assign(cores.begin() + static_cast<std::ptrdiff_t>(first),
                      cores.begin() + static_cast<std::ptrdiff_t>(first + count));
  } else {
    plan.cores = cores;
  }
  // The same number of threads on every rank: the slowest rank sets the pace anyway.
  plan.threads = wanted > 0 ? wanted : std::max(1, static_cast<int>(cores.size() / ranks));
  const bool fills_slice = static_cast<std::size_t>(plan.threads) == plan.cores.size();
  plan.pinned = enough && (wanted <= 0 || fills_slice);
  plan.description = std::to_string(plan.threads) + (plan.threads == 1 ? " thread" : " threads") +
                     (plan.pinned ? ", pinned to " : " on ") +
                     (plan.cores.size() == 1 ? "core " : "cores ") + detail::core_list(plan.cores);
  if (static_cast<std::size_t>(plan.threads) > plan.cores.size() || !enough)
    plan.description += " (more threads than cores)";
  return plan;
}

void apply(const ThreadPlan& plan) {
  omp_set_dynamic(0);
  omp_set_num_threads(plan.threads);
  if (std::getenv("OMP_PROC_BIND") != nullptr || std::getenv("OMP_PLACES") != nullptr) return;
#pragma omp parallel
  {
    const auto own = static_cast<std::size_t>(omp_get_thread_num());
    pin_this_thread(plan.pinned ? std::vector<int>{plan.cores[own]} : plan.cores);
  }
}

int choose_threads(int wanted, int ranks_on_node) {
  omp_set_dynamic(0);
  omp_set_num_threads(plan_threads(wanted, usable_cores(), {ranks_on_node, 0}).threads);
  return thread_count();
}

void use_one_thread_here() { omp_set_num_threads(1); }

int thread_count() { return omp_get_max_threads(); }

}  // namespace constrictor
