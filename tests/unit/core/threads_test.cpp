// SPDX-License-Identifier: Apache-2.0
#include "core/threads.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <set>

#include "core/parallel.hpp"

namespace constrictor {
namespace {

std::vector<int> cores(int count, int first = 0) {
  std::vector<int> list;
  for (int core = first; core < first + count; ++core) list.push_back(core);
  return list;
}

TEST(CoreList, BothWays) {
  EXPECT_EQ(detail::parse_core_list("0-3,8,10-11"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(detail::parse_core_list("5\n"), (std::vector<int>{5}));
  EXPECT_TRUE(detail::parse_core_list("").empty());
  EXPECT_EQ(detail::core_list({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
  EXPECT_EQ(detail::core_list({7}), "7");
  EXPECT_EQ(detail::core_list({}), "");
}

TEST(ThreadPlan, OneRankTakesAllCores) {
  const ThreadPlan plan = plan_threads(0, cores(8), {1, 0});
  EXPECT_EQ(plan.threads, 8);
  EXPECT_EQ(plan.cores, cores(8));
  EXPECT_TRUE(plan.pinned);
  EXPECT_EQ(plan.description, "8 threads, pinned to cores 0-7");
}

TEST(ThreadPlan, RanksTakeContiguousSlicesOfTheirOwn) {
  for (int ranks : {1, 2, 3, 4, 7, 10}) {
    std::set<int> taken;
    for (int rank = 0; rank < ranks; ++rank) {
      const ThreadPlan plan = plan_threads(0, cores(10, 20), {ranks, rank});
      EXPECT_EQ(plan.threads, 10 / ranks);
      EXPECT_LE(plan.threads, static_cast<int>(plan.cores.size()));
      EXPECT_TRUE(plan.pinned);
      for (int core : plan.cores) EXPECT_TRUE(taken.insert(core).second) << "core taken twice";
    }
    EXPECT_EQ(taken.size(), 10u) << "no core is left over";
  }
}

TEST(ThreadPlan, MoreRanksThanCoresIsNotPinned) {
  const ThreadPlan plan = plan_threads(0, cores(2), {4, 3});
  EXPECT_EQ(plan.threads, 1);
  EXPECT_EQ(plan.cores, cores(2));
  EXPECT_FALSE(plan.pinned);
  EXPECT_EQ(plan.description, "1 thread on cores 0-1 (more threads than cores)");
}

TEST(ThreadPlan, TheUsersNumberIsTakenAsItIs) {
  const ThreadPlan few = plan_threads(1, cores(4), {1, 0});
  EXPECT_EQ(few.threads, 1);
  EXPECT_FALSE(few.pinned) << "two runs of one thread must not meet on core 0";
  EXPECT_TRUE(plan_threads(4, cores(4), {1, 0}).pinned);
  const ThreadPlan many = plan_threads(6, cores(4), {1, 0});
  EXPECT_EQ(many.threads, 6);
  EXPECT_FALSE(many.pinned);
  EXPECT_EQ(many.description, "6 threads on cores 0-3 (more threads than cores)");
}

TEST(Threads, AreSetAndCounted) {
  EXPECT_GE(usable_cores().size(), 1u);
  EXPECT_EQ(choose_threads(3, 1), 3);
  EXPECT_EQ(thread_count(), 3);
  EXPECT_EQ(choose_threads(0, 1000000), 1);
  EXPECT_EQ(choose_threads(0, 1), static_cast<int>(usable_cores().size()));
}

TEST(Threads, PinnedOnesStayOnTheirCores) {
  if (std::getenv("OMP_PROC_BIND") != nullptr || std::getenv("OMP_PLACES") != nullptr) GTEST_SKIP();
  const std::vector<int> all = usable_cores();
  apply(plan_threads(0, all, {1, 0}));
  std::set<int> seen;
#pragma omp parallel
  {
    cpu_set_t mask;
    sched_getaffinity(0, sizeof(mask), &mask);
#pragma omp critical
    {
      EXPECT_EQ(CPU_COUNT(&mask), 1);
      seen.insert(sched_getcpu());
    }
  }
  EXPECT_EQ(std::vector<int>(seen.begin(), seen.end()), all);
  EXPECT_EQ(usable_cores(), all) << "pinning does not shrink what counts as usable";
}

}  // namespace
}  // namespace constrictor
