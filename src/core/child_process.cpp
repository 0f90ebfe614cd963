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
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (file < 0)
    throw FileSystemError(output +
                          ": cannot be written: " + std::generic_category().message(errno));
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
  pid_ = ::fork();
  if (pid_ == 0) become(argv.data(), file, bound ? &set : nullptr, parent);
  const int reason = errno;
  ::close(file);
  if (pid_ < 0) throw LibraryError("fork: " + std::generic_category().message(reason));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), ending_(other.ending_) {}

ChildProcess::~ChildProcess() {
  int status = 0;
  if (pid_ > 0 && !ending_)
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
}

std::optional<Ending> ChildProcess::ended() {
  if (ending_) return ending_;
  int status = 0;
  const pid_t found = ::waitpid(pid_, &status, WNOHANG);
  if (found != pid_) return std::nullopt;
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
