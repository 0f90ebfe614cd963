// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <exception>

#include "comm/communicator.hpp"

namespace constrictor::app {

/// Exit code of the program for an exception.
int exit_code_of(const std::exception& error);

/// Prints "constrictor: <words>" and returns the exit code.
int report(const std::exception& error);

/// The same on many ranks. A failure that all ranks agreed on is told once, by rank 0, and the
/// program ends in good order. Any other is known to this rank only: it tells, with its number, and
/// ends all ranks by force, because the others may wait for it.
int report(const std::exception& error, const comm::Communicator& ranks);

}  // namespace constrictor::app
