// SPDX-License-Identifier: Apache-2.0
#pragma once
// How many OpenMP threads a rank runs and on which cores. One place decides, so that a node is
// never oversubscribed by default: 12 ranks with 144 threads each are five times slower, not
// faster.
//
// What counts as a usable core:
//   - the cores of this process' affinity mask, one per physical core (a second hardware thread
//     shares the multipliers and does not help matrix products);
//   - no more than the control group's CPU quota, where a container has one;
//   - Open MPI's mpirun binds each of few ranks to a single core unless told otherwise. Then the
//     mask says nothing about the machine, and the mask of mpirun itself (our parent) is taken.
//     An explicit --bind-to is obeyed.
// OMP_NUM_THREADS is not asked: sites that preset it to 1 would leave a node idle. The deck
// decides.

#include <string>
#include <vector>

namespace constrictor {

/// The cores that this process may use, ascending; never empty. See the top of the file.
std::vector<int> usable_cores();

/// A rank among the ranks of its node that may use the same cores.
struct NodePlace {
  int ranks = 1;   // how many they are, this one included
  int number = 0;  // which one this is, 0 .. ranks - 1
};

struct ThreadPlan {
  int threads = 1;
  std::vector<int> cores;   // this rank's slice of the usable cores
  bool pinned = false;      // one thread on one core of the slice
  std::string description;  // "4 threads, pinned to cores 0-3"
};

/// `wanted` threads, or with 0 this rank's share of the cores (at least one). Ranks take contiguous
/// slices. Threads are pinned when they fill their slice exactly; a rank with fewer threads than
/// cores leaves the choice to the system, so that two runs on one node do not sit on the same core.
ThreadPlan plan_threads(int wanted, const std::vector<int>& cores, NodePlace place);

/// Sets the number of OpenMP threads (and switches dynamic adjustment off) and pins them, unless
/// OMP_PROC_BIND or OMP_PLACES shows that the user has decided. Call before the first parallel
/// region.
void apply(const ThreadPlan& plan);

/// Only the number, without pinning (tests, benchmarks): `wanted`, or with 0 cores / ranks, at
/// least 1.
int choose_threads(int wanted, int ranks_on_node);

/// Threads that a parallel region runs on.
int thread_count();

/// Parallel regions of the calling thread run on itself alone (a helper thread beside the work).
void use_one_thread_here();

namespace detail {
/// "0-3,8" -> {0, 1, 2, 3, 8}, as the kernel writes lists of processors; and back.
std::vector<int> parse_core_list(const std::string& text);
std::string core_list(const std::vector<int>& cores);
}  // namespace detail

}  // namespace constrictor
