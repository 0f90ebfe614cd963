// SPDX-License-Identifier: Apache-2.0
#include "core/child_process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/error.hpp"

namespace constrictor {
namespace {

struct Output {
  std::string path =
      (std::filesystem::temp_directory_path() / ("constrictor_child_" + std::to_string(::getpid())))
          .string();
  ~Output() { std::filesystem::remove(path); }
  std::string text() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

Ending end_of(ChildProcess& child) {
  while (!child.ended()) ::usleep(1000);
  return *child.ended();
}

TEST(ChildProcess, EndsAsItSaysAndItsOutputIsKept) {
  const Output output;
  for (const char* script : {"echo one; exit 3", "echo two >&2; exit 0"}) {
    ChildProcess child({"sh", "-c", script}, output.path);
    const Ending ending = end_of(child);
    EXPECT_EQ(ending.exit_code, script[5] == 'o' ? 3 : 0);
    EXPECT_EQ(ending.signal, 0);
    EXPECT_EQ(child.last_output(), script[5] == 'o' ? "one\n" : "two\n");
  }
  EXPECT_EQ(output.text(), "one\ntwo\n") << "appended";
}

TEST(ChildProcess, EndedByASignal) {
  const Output output;
  ChildProcess child({"sleep", "60"}, output.path);
  EXPECT_FALSE(child.ended());
  child.signal(SIGKILL);
  EXPECT_EQ(end_of(child).signal, SIGKILL);
  ChildProcess rank_killed({"sh", "-c", "exit 137"}, output.path);  // as mpirun tells it
  EXPECT_EQ(end_of(rank_killed).signal, SIGKILL);
}

TEST(ChildProcess, AFullDiskDoesNotTakeItsLastWords) {
  ChildProcess child({"sh", "-c", "echo words"}, "/dev/full");
  end_of(child);
  EXPECT_EQ(child.last_output(), "words\n");
  EXPECT_THROW(ChildProcess({"true"}, "/no/such/folder/file"), FileSystemError);
}

TEST(ChildProcess, MuchOutputPassesAndItsEndIsKept) {
  const Output output;
  ChildProcess child({"sh", "-c", "seq 100000; echo last"}, output.path);
  end_of(child);
  EXPECT_EQ(output.text().size(), 588895u + 5);
  EXPECT_EQ(child.last_output().substr(child.last_output().size() - 12), "100000\nlast\n");
  EXPECT_LT(child.last_output().size(), 40000u);
}

TEST(ChildProcess, AProgramThatIsNotThereSaysSo) {
  const Output output;
  ChildProcess child({"/no/such/program"}, output.path);
  EXPECT_EQ(end_of(child).exit_code, 127);
  EXPECT_EQ(child.last_output(),
            "constrictor: cannot start /no/such/program: No such file or directory\n");
}

TEST(ChildProcess, RunsOnItsCoresOnly) {
  const Output output;
  ChildProcess child({"sh", "-c", "grep Cpus_allowed_list /proc/self/status"}, output.path, {0});
  end_of(child);
  EXPECT_EQ(child.last_output(), "Cpus_allowed_list:\t0\n");
}

/// The child of a process that is killed is asked to end.
TEST(ChildProcess, DoesNotOutliveItsParent) {
  const Output output;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const ChildProcess child({"sleep", "60"}, output.path);
    const int pid = child.pid();
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    ::pause();
  }
  int pid = 0;
  ASSERT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ::kill(parent, SIGKILL);
  int waited = 0;
  while (::kill(pid, 0) == 0 && waited < 500) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string number, name, state;
    if (status >> number >> name >> state && state == "Z") break;
    ::usleep(10000), ++waited;
  }
  EXPECT_LT(waited, 500);
}

}  // namespace
}  // namespace constrictor
