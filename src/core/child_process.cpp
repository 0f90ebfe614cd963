// SPDX-License-Identifier: Apache-2.0
#include "core/child_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.hpp"

namespace constrictor {

namespace {

constexpr std::size_t most_kept = 16384;  // bytes of output in memory

/// In the child; calls only what is allowed between fork and exec.
[[noreturn]] void become(char* const* words, int output, const cpu_set_t* cores, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);  // died before the line above
  for (const int number : {SIGTERM, SIGUSR1, SIGINT}) ::signal(number, SIG_DFL);
  if (cores != nullptr) (void)::sched_setaffinity(0, sizeof(cpu_set_t), cores);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(words[0], words);
  const char* reason = std::strerror(errno);
  for (const char* part :
       {"constrictor: cannot start ", static_cast<const char*>(words[0]), ": ", reason, "\n"})
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
  ::_exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, const std::string& output,
                           const std::vector<int>& cores) {
  CONSTRICTOR_REQUIRE(!words.empty());
  std::vector<std::string> copies = words;
  std::vector<char*> argv;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores)
    if (core < CPU_SETSIZE) CPU_SET(core, &set);
  const bool bound = CPU_COUNT(&set) > 0;
  const pid_t parent = ::getpid();

  file_ = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file_ < 0)
    throw FileSystemError(output +
                          ": cannot be written: " + std::generic_category().message(errno));
  int ends[2] = {-1, -1};
  bool started = ::pipe2(ends, O_CLOEXEC) == 0;
  if (started) {
    pid_ = ::fork();
    if (pid_ == 0) become(argv.data(), ends[1], bound ? &set : nullptr, parent);
    started = pid_ > 0;
  }
  const int reason = errno;
  ::close(ends[1]);
  pipe_ = ends[0];
  if (!started) {
    close_output();
    throw LibraryError("fork: " + std::generic_category().message(reason));
  }
  ::fcntl(pipe_, F_SETFL, O_NONBLOCK);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pipe_(std::exchange(other.pipe_, -1)),
      file_(std::exchange(other.file_, -1)),
      last_output_(std::move(other.last_output_)),
      ending_(other.ending_) {}

ChildProcess::~ChildProcess() {
  while (pid_ > 0 && !ended()) ::usleep(1000);
  close_output();
}

void ChildProcess::close_output() noexcept {
  for (int* end : {&pipe_, &file_})
    if (*end >= 0) ::close(std::exchange(*end, -1));
}

void ChildProcess::move_output() {
  char buffer[4096];
  for (ssize_t size; (size = ::read(pipe_, buffer, sizeof buffer)) > 0;) {
    if (::write(file_, buffer, static_cast<std::size_t>(size)) < 0) {
      // A full disk: the run goes on or ends for reasons of its own, which are kept below.
    }
    last_output_.append(buffer, static_cast<std::size_t>(size));
    if (last_output_.size() > 2 * most_kept) last_output_.erase(0, last_output_.size() - most_kept);
  }
}

std::optional<Ending> ChildProcess::ended() {
  if (ending_) return ending_;
  int status = 0;
  const pid_t found = ::waitpid(pid_, &status, WNOHANG);
  move_output();
  if (found == 0 || (found < 0 && errno == EINTR)) return std::nullopt;
  Ending ending;
  if (WIFSIGNALED(status)) {
    ending.signal = WTERMSIG(status);
    ending.exit_code = 128 + ending.signal;
  } else {
    ending.exit_code = WEXITSTATUS(status);
    if (ending.exit_code > 128) ending.signal = ending.exit_code - 128;  // mpirun's ranks
  }
  ending_ = ending;
  return ending_;
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0 && !ending_) ::kill(pid_, number);
}

std::string own_program() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "constrictor" : path.string();
}

}  // namespace constrictor
