// SPDX-License-Identifier: Apache-2.0
#include "app/report.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <new>

#include "comm/agree.hpp"
#include "comm/session.hpp"
#include "core/error.hpp"

namespace constrictor::app {

namespace {
std::string words_of(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return "out of memory";
  return error.what();
}
}  // namespace

int exit_code_of(const std::exception& error) {
  if (const auto* failure = dynamic_cast<const Failure*>(&error))
    return static_cast<int>(failure->code);
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return static_cast<int>(ExitCode::not_enough_memory);
  return static_cast<int>(ExitCode::anything_else);
}

int report(const std::exception& error) {
  std::fflush(stdout);
  fmt::print(stderr, "constrictor: {}\n", words_of(error));
  return exit_code_of(error);
}

int report(const std::exception& error, const comm::Communicator& ranks) {
  if (ranks.size() == 1) return report(error);
  if (dynamic_cast<const comm::Agreed*>(&error) != nullptr)
    return ranks.rank() == 0 ? report(error) : exit_code_of(error);
  std::fflush(stdout);
  fmt::print(stderr, "constrictor: rank {} on {}: {}\n", ranks.rank(),
             ranks.hosts()[static_cast<std::size_t>(ranks.rank())], words_of(error));
  std::fflush(stderr);
  comm::MpiSession::abort(exit_code_of(error));
}

}  // namespace constrictor::app
