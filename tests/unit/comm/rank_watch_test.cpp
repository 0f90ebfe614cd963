// SPDX-License-Identifier: Apache-2.0
#include "comm/rank_watch.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace constrictor::comm {
namespace {

TEST(RankWatch, ProcessesThatLiveHaveNotEnded) {
  EXPECT_FALSE(detail::has_ended(getpid()));
  EXPECT_FALSE(detail::has_ended(1));  // lives, though no signal may be sent to it by everybody
}

TEST(RankWatch, EndedProcessesAreSeenBeforeAndAfterTheirParentCollectsThem) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    pause();
    _exit(0);
  }
  EXPECT_FALSE(detail::has_ended(child));
  kill(child, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(detail::has_ended(child));  // a zombie
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(detail::has_ended(child));
}

TEST(RankWatch, ALoneRankHasNobodyToLose) {
  EXPECT_EQ(RankWatch(Communicator()).lost(), std::nullopt);
}

}  // namespace
}  // namespace constrictor::comm
