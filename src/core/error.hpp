// SPDX-License-Identifier: Apache-2.0
#pragma once
// Three kinds of error, and the exit code that each ends in (README, "Exit codes"):
//   the user's or the machine's  Failure and its children: plain words, no line number
//   ours                         Bug: file, line, values
//   a library's                  LibraryError: the call and the library's own words
// Only main() ends the program.

#include <sstream>
#include <stdexcept>
#include <string>

namespace constrictor {

enum class ExitCode : int {
  done = 0,
  anything_else = 1,
  bad_input = 2,
  not_enough_memory = 3,
  numerical_failure = 4,
  file_system = 5,
  preempted = 75,
};

/// An ending that the user can act on; carries the program's exit code.
struct Failure : std::runtime_error {
  Failure(ExitCode exit_code, const std::string& sentence)
      : std::runtime_error(sentence), code(exit_code) {}
  ExitCode code;
};

/// Bad deck, model, token file or command line.
struct UserError : Failure {
  explicit UserError(const std::string& sentence) : Failure(ExitCode::bad_input, sentence) {}
};
/// More memory predicted than the machine has.
struct MemoryError : Failure {
  explicit MemoryError(const std::string& sentence)
      : Failure(ExitCode::not_enough_memory, sentence) {}
};
/// NaN, Inf, or a factorization that fails whatever the damping.
struct NumericalError : Failure {
  explicit NumericalError(const std::string& sentence)
      : Failure(ExitCode::numerical_failure, sentence) {}
};
/// Full disk, unreadable folder, failed write.
struct FileSystemError : Failure {
  explicit FileSystemError(const std::string& sentence)
      : Failure(ExitCode::file_system, sentence) {}
};
/// SIGTERM or SIGUSR1 asked for an early end; run again to go on.
struct Preempted : Failure {
  explicit Preempted(const std::string& sentence) : Failure(ExitCode::preempted, sentence) {}
};

struct Bug : std::logic_error {
  using logic_error::logic_error;
};
struct LibraryError : std::runtime_error {
  using runtime_error::runtime_error;
};

namespace detail {
template <class... Values>
[[noreturn]] void raise_bug(const char* file, int line, const char* condition,
                            const Values&... values) {
  std::ostringstream text;
  text << file << ":" << line << ": " << condition << " does not hold";
  ((text << " | " << values), ...);
  throw Bug(text.str());
}
}  // namespace detail

}  // namespace constrictor

/// Precondition of our own code; the values that follow the condition are printed.
#define CONSTRICTOR_REQUIRE(condition, ...)                                                        \
  do {                                                                                             \
    if (!(condition))                                                                              \
      ::constrictor::detail::raise_bug(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
