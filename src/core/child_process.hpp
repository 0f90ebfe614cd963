// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace constrictor {

/// How a process ended.
struct Ending {
  int exit_code = 0;  // as a shell gives it: 128 + number when a signal ended it
  int signal = 0;     // that number, else 0
};

/// A program that runs beside this one. It is asked to end (SIGTERM) when this process dies.
class ChildProcess {
 public:
  /// Starts words[0], looked for in PATH, without input; what it prints is appended to `output`.
  /// On `cores` only, when there are any. An output file that cannot be opened is a
  /// FileSystemError; a program that cannot be started ends with exit code 127.
  /// `ended` must be called now and then: it is what moves the output on.
  ChildProcess(const std::vector<std::string>& words, const std::string& output,
               const std::vector<int>& cores = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  /// Waits for its end.
  ~ChildProcess();

  int pid() const { return pid_; }
  /// Nothing while it runs.
  std::optional<Ending> ended();
  /// The last kilobytes that it printed, even where a full disk has kept them from the file.
  const std::string& last_output() const { return last_output_; }
  void signal(int number) const;

 private:
  void move_output();
  void close_output() noexcept;
  int pid_ = 0;
  int pipe_ = -1, file_ = -1;
  std::string last_output_;
  std::optional<Ending> ending_;
};

/// The program that is running: the path of its file.
std::string own_program();

}  // namespace constrictor
