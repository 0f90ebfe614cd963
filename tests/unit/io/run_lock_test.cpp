// SPDX-License-Identifier: Apache-2.0
#include "io/run_lock.hpp"

#include <sys/wait.h>

#include <atomic>
#include <functional>

#include "core/timer.hpp"
#include "io/process_facts.hpp"
#include "io/run_log.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

constexpr LockTiming quick = {0.02, 0.3};

void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// A process that runs `work` and ends without a destructor, as a killed one does.
pid_t start_process(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  return child;
}
int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void leave_stale_lock(const TemporaryFolder& folder) {
  EXPECT_EQ(wait_for(start_process([&] {
              new RunLock(folder.path(), {}, quick);  // never deleted
              return 0;
            })),
            0);
  EXPECT_TRUE(std::filesystem::exists(folder / "run.lock"));
}

TEST(RunLock, IsGoneAfterwards) {
  const TemporaryFolder folder;
  {
    const RunLock lock(folder.path(), {}, quick);
    EXPECT_TRUE(lock.held());
    EXPECT_CONTAINS(read_bytes(folder / "run.lock"), host_name());
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "run.lock"));
  const RunLock again(folder.path(), {}, quick);
}

TEST(RunLock, ASecondOneIsRefusedAndTheFirstStays) {
  const TemporaryFolder folder;
  const RunLock lock(folder.path(), {}, quick);
  const std::string here = "process " + std::to_string(::getpid()) + " on " + host_name();
  EXPECT_CONTAINS(message_of<UserError>([&] { RunLock(folder.path(), {}, quick); }), here);
  EXPECT_EQ(wait_for(start_process([&] {
              try {
                const RunLock second(folder.path(), {}, quick);
                return 1;
              } catch (const UserError& error) {
                return std::string(error.what()).find(here) != std::string::npos ? 42 : 2;
              }
            })),
            42);
  EXPECT_TRUE(lock.held());
}

TEST(RunLock, OfADeadProcessIsTakenOverAtOnce) {
  const TemporaryFolder folder;
  leave_stale_lock(folder);
  std::string notice;
  const double start = wall_seconds();
  const RunLock lock(folder.path(), [&](const std::string& text) { notice += text; }, {0.02, 100});
  EXPECT_LT(wall_seconds() - start, 5);
  EXPECT_TRUE(lock.held());
  EXPECT_CONTAINS(notice, "taken over from process ");
  EXPECT_CONTAINS(notice, "which is dead");
}

TEST(RunLock, ANumberUsedAgainByAnotherProcessDoesNotDeceive) {
  const TemporaryFolder folder;
  {
    const RunLock lock(folder.path(), {}, quick);
    std::filesystem::copy(folder / "run.lock", folder / "copy");
  }
  std::filesystem::rename(folder / "copy", folder / "run.lock");
  EXPECT_THROW(RunLock(folder.path(), {}, quick), UserError);  // this very process
  replace_in_file(folder / "run.lock", "\"process_start\":\"", "\"process_start\":\"1");
  EXPECT_TRUE(RunLock(folder.path(), {}, quick).held());
}

TEST(RunLock, OfAnotherHostIsTakenOverWhenItStandsStill) {
  const TemporaryFolder folder;
  leave_stale_lock(folder);
  replace_in_file(folder / "run.lock", host_name(), "elsewhere");
  std::string notice;
  const double start = wall_seconds();
  const RunLock lock(
      folder.path(), [&](const std::string& text) { notice += text; }, quick);
  EXPECT_GE(wall_seconds() - start, quick.watch_seconds);
  EXPECT_CONTAINS(notice, "on elsewhere");
  EXPECT_CONTAINS(notice, "shows no sign of life");
}

TEST(RunLock, OfAnotherHostIsRespectedWhileItMoves) {
  const TemporaryFolder folder;
  const RunLock real(folder.path(), {},
                     quick);  // its heartbeat stops: the text is no longer its own
  replace_in_file(folder / "run.lock", host_name(), "elsewhere");
  std::atomic<bool> stop = false;
  std::thread heart([&] {
    // Years ago and going backwards: only movement counts, never the time itself.
    for (int i = 0; !stop; ++i, pause(0.02))
      std::filesystem::last_write_time(
          folder / "run.lock", std::filesystem::file_time_type(std::chrono::hours(-100000 - i)));
  });
  EXPECT_CONTAINS(message_of<UserError>([&] { RunLock(folder.path(), {}, quick); }),
                  "on elsewhere");
  stop = true;
  heart.join();
  EXPECT_FALSE(real.held());
  EXPECT_TRUE(std::filesystem::exists(folder / "run.lock"));
}

TEST(RunLock, HeartbeatMovesTheTimeStamp) {
  const TemporaryFolder folder;
  const RunLock lock(folder.path(), {}, quick);
  const auto before = std::filesystem::last_write_time(folder / "run.lock");
  pause(0.3);
  EXPECT_GT(std::filesystem::last_write_time(folder / "run.lock"), before);
}

TEST(RunLock, AnUnreadableLockCountsAsOneOfAnotherHost) {
  const TemporaryFolder folder;
  write_bytes(folder / "run.lock", "garbage");
  EXPECT_TRUE(RunLock(folder.path(), {}, quick).held());
}

TEST(RunLock, OfManyWhoTakeOverAtTheSameTimeOneWins) {
  for (int round = 0; round < 20; ++round) {
    const TemporaryFolder folder;
    leave_stale_lock(folder);
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i)
      children.push_back(start_process([&] {
        while (!std::filesystem::exists(folder / "go")) pause(0.0005);
        try {
          const RunLock lock(folder.path(), {}, quick);
          while (!std::filesystem::exists(folder / "end")) pause(0.001);
          return lock.held() ? 10 : 11;
        } catch (const UserError&) {
          return 12;
        }
      }));
    write_bytes(folder / "go", "");
    pause(0.05);
    write_bytes(folder / "end", "");
    int winners = 0;
    for (const pid_t child : children) {
      const int code = wait_for(child);
      winners += code == 10;
      EXPECT_TRUE(code == 10 || code == 12) << code;
    }
    // Late comers may take it after the winner let go; two at once would have seen 11.
    EXPECT_GE(winners, 1);
  }
}

TEST(RunLock, InAFolderThatCannotBeWrittenIsAFileSystemError) {
  EXPECT_CONTAINS(message_of<FileSystemError>([] { RunLock("/proc/self/nothing"); }),
                  "/proc/self/nothing/run.lock: cannot be created: ");
}

TEST(ProcessFacts, KnowThisProcessAndNoOther) {
  EXPECT_FALSE(process_start(::getpid()).empty());
  EXPECT_TRUE(is_alive(::getpid(), process_start(::getpid())));
  EXPECT_FALSE(is_alive(::getpid(), "1"));
  EXPECT_FALSE(is_alive(0, ""));
  EXPECT_FALSE(is_alive(-1, ""));
  const pid_t child = start_process([] { return 0; });
  const std::string start = process_start(child);
  wait_for(child);
  EXPECT_FALSE(is_alive(child, start));
}

}  // namespace
}  // namespace constrictor::io
