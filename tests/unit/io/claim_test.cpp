// SPDX-License-Identifier: Apache-2.0
#include "io/claim.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <functional>
#include <thread>

#include "io/run_log.hpp"
#include "test_support.hpp"

namespace constrictor::io {
namespace {

namespace fs = std::filesystem;

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

/// A claim whose holder ended without a word.
void leave_dead_claim(const ClaimFolder& claims, const std::string& run) {
  EXPECT_EQ(wait_for(start_process([&] {
              new std::optional<Claim>(Claim::take(claims, run));  // never deleted
              return 0;
            })),
            0);
}

void set_age(const fs::path& file, double seconds) {
  timespec times[2];
  ::clock_gettime(CLOCK_REALTIME, &times[1]);
  times[1].tv_sec -= static_cast<time_t>(seconds);
  times[0] = times[1];
  EXPECT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
}

TEST(Claim, IsOneProcessOnly) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  EXPECT_TRUE(claims.seen().empty());
  {
    const auto claim = Claim::take(claims, "a");
    ASSERT_TRUE(claim);
    EXPECT_TRUE(claim->held());
    EXPECT_EQ(claim->taken_over_from(), "");
    EXPECT_FALSE(Claim::take(claims, "a"));
    EXPECT_TRUE(Claim::take(claims, "b"));
    ASSERT_TRUE(claims.seen("a"));
    EXPECT_TRUE(claims.seen("a")->alive);
    EXPECT_CONTAINS(claims.seen("a")->holder(),
                    "process " + std::to_string(::getpid()) + " on " + host_name());
  }
  EXPECT_FALSE(claims.seen("a")->alive);
  EXPECT_TRUE(claims.seen("a")->released);
  auto again = Claim::take(claims, "a");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->taken_over_from(), "") << "a released claim is not taken over from anybody";
  again->remove_all();
  EXPECT_FALSE(claims.seen("a"));
  EXPECT_EQ(claims.seen().size(), 1u);  // that of b, released
}

TEST(Claim, OfADeadProcessIsTakenOverAtOnce) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  leave_dead_claim(claims, "a");
  EXPECT_FALSE(claims.seen("a")->alive);
  const auto claim = Claim::take(claims, "a");
  ASSERT_TRUE(claim);
  EXPECT_CONTAINS(claim->taken_over_from(), "process ");
}

TEST(Claim, OfAnotherHostLivesAsLongAsItsHeartbeat) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims", {1, 100});
  leave_dead_claim(claims, "a");
  const fs::path file = claims.file_of("a", 1);
  replace_in_file(file, host_name(), "elsewhere");
  set_age(file, 90);
  EXPECT_FALSE(Claim::take(claims, "a"));
  EXPECT_NEAR(claims.seen("a")->age_seconds, 90, 5);
  set_age(file, -500);  // from the future: somebody lives
  EXPECT_FALSE(Claim::take(claims, "a"));
  set_age(file, 110);
  const auto claim = Claim::take(claims, "a");
  ASSERT_TRUE(claim);
  EXPECT_CONTAINS(claim->taken_over_from(), "on elsewhere");
}

TEST(Claim, AHolderThatWasThoughtDeadSeesThatItLost) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims", {1, 100});
  auto slow = Claim::take(claims, "a");
  ASSERT_TRUE(slow);
  replace_in_file(claims.file_of("a", 1), host_name(), "elsewhere");
  set_age(claims.file_of("a", 1), 200);
  const auto other = Claim::take(claims, "a");
  ASSERT_TRUE(other);
  EXPECT_FALSE(slow->held());
  slow->beat();        // too late
  slow->remove_all();  // must not touch what the other has
  EXPECT_TRUE(other->held());
  EXPECT_FALSE(Claim::take(claims, "a"));
}

TEST(Claim, HeartbeatMovesTheTimeStampAndReleaseStopsIt) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  auto claim = Claim::take(claims, "a");
  set_age(claims.file_of("a", 1), 1000);
  EXPECT_GT(claims.seen("a")->age_seconds, 900);
  claim->beat();
  EXPECT_LT(claims.seen("a")->age_seconds, 5);
  claim->release();
  claim->beat();
  EXPECT_TRUE(claims.seen("a")->released);
}

/// A file that a network file system shows before its contents have arrived.
TEST(Claim, AnEmptyFileIsAClaimOfSomebodyUnknown) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims", {1, 100});
  fs::create_directories(place / "claims");
  for (const char* text : {"", "{\"host\": ", "[]", "\xff\xfe"}) {
    write_bytes(claims.file_of("a", 1), text);
    EXPECT_FALSE(Claim::take(claims, "a")) << text;
    EXPECT_CONTAINS(claims.seen("a")->holder(), "unknown process");
  }
  set_age(claims.file_of("a", 1), 200);
  EXPECT_TRUE(Claim::take(claims, "a"));
}

TEST(Claim, DraftsAndOtherFilesAreNoClaims) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  const auto claim = Claim::take(claims, "a");
  for (const char* name : {"a.1.host.17.0", "now.host.17.0", "README", "b.x", "c."})
    write_bytes(place / (std::string("claims/") + name), "");
  ASSERT_EQ(claims.seen().size(), 1u);
  EXPECT_EQ(claims.seen()[0].run, "a");
}

/// Two processes and two threads in each take the same 1000 runs; of each run one must win. Half of
/// the runs have a dead claim that all want to take over.
TEST(Claim, OfAThousandRacesEveryOneHasOneWinner) {
  constexpr int runs = 1000;
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  leave_dead_claim(claims, "dead");
  const std::string dead = read_bytes(claims.file_of("dead", 1));
  for (int i = 0; i < runs; i += 2) write_bytes(claims.file_of(std::to_string(i), 1), dead);
  const auto take_all = [&](int runner) {
    std::string won;
    std::vector<Claim> kept;
    for (int i = 0; i < runs; ++i)
      if (auto claim = Claim::take(claims, std::to_string(i))) {
        won += std::to_string(i) + "\n";
        kept.push_back(std::move(*claim));
      }
    write_bytes(place / ("won" + std::to_string(runner)), won);
    while (!fs::exists(place / "end")) ::usleep(1000);  // claims live until all have tried
  };
  const auto two_threads = [&](int first) {
    return start_process([&, first] {
      while (!fs::exists(place / "go")) ::usleep(100);
      std::thread other([&] { take_all(first + 1); });
      take_all(first);
      other.join();
      return 0;
    });
  };
  const pid_t children[] = {two_threads(0), two_threads(2)};
  write_bytes(place / "go", "");
  for (int i = 0; i < 4; ++i)
    while (!fs::exists(place / ("won" + std::to_string(i)))) ::usleep(1000);
  ::usleep(200000);  // the last lines are being written
  std::vector<int> winners(runs, 0);
  int busy = 0;
  for (int i = 0; i < 4; ++i) {
    std::ifstream won(place / ("won" + std::to_string(i)));
    int count = 0;
    for (int run = 0; won >> run; ++count) ++winners[static_cast<std::size_t>(run)];
    busy += count > 0;
  }
  write_bytes(place / "end", "");
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  for (int i = 0; i < runs; ++i) EXPECT_EQ(winners[static_cast<std::size_t>(i)], 1) << i;
  EXPECT_GE(busy, 2) << "there was no race";
}

/// Take, work, release, again and again: nobody is ever inside together with another.
TEST(Claim, NobodyIsInsideTogetherWithAnother) {
  const TemporaryFolder place;
  const ClaimFolder claims(place / "claims");
  const auto worker = [&] {
    int worked = 0, collisions = 0;
    for (int attempt = 0; attempt < 20000 && worked < 100; ++attempt) {
      auto claim = Claim::take(claims, "a");
      if (!claim) continue;
      ++worked;
      const int inside = ::open((place / "inside").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0666);
      collisions += inside < 0;
      if (inside >= 0) {
        ::close(inside);
        ::unlink((place / "inside").c_str());
      }
    }
    return collisions > 0 ? 100 : (worked > 0 ? 1 : 0);
  };
  pid_t children[3];
  for (pid_t& child : children) child = start_process(worker);
  int worked = 0;
  for (const pid_t child : children) {
    const int code = wait_for(child);
    EXPECT_NE(code, 100);
    worked += code == 1;
  }
  EXPECT_GE(worked, 1);
}

TEST(Claim, InAFolderThatCannotBeWrittenIsAFileSystemError) {
  EXPECT_CONTAINS(message_of<FileSystemError>([] {
                    const ClaimFolder claims("/proc/self/nothing");
                    Claim::take(claims, "a");
                  }),
                  "/proc/self/nothing");
}

TEST(WriteTextShared, LeavesOneWholeFileHoweverManyWrite) {
  const TemporaryFolder place;
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k)
        write_text_shared(place / "file", std::string(10000, static_cast<char>('a' + i)));
    });
  for (std::thread& writer : writers) writer.join();
  const std::string text = read_bytes(place / "file");
  EXPECT_EQ(text, std::string(10000, text[0]));
  EXPECT_EQ(std::distance(fs::directory_iterator(place.path()), {}), 1);
}

}  // namespace
}  // namespace constrictor::io
