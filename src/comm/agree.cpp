// SPDX-License-Identifier: Apache-2.0
#include "comm/agree.hpp"

#include <new>

namespace constrictor::comm {

namespace {

template <class Error>
struct AgreedError : Error, Agreed {
  using Error::Error;
};

[[noreturn]] void throw_failure(ExitCode code, const std::string& words) {
  switch (code) {
    case ExitCode::bad_input:
      throw AgreedError<UserError>(words);
    case ExitCode::not_enough_memory:
      throw AgreedError<MemoryError>(words);
    case ExitCode::numerical_failure:
      throw AgreedError<NumericalError>(words);
    case ExitCode::file_system:
      throw AgreedError<FileSystemError>(words);
    case ExitCode::preempted:
      throw AgreedError<Preempted>(words);
    default:
      throw AgreedError<Failure>(code, words);
  }
}

}  // namespace

Outcome Outcome::of_current_exception() {
  Outcome outcome;
  const auto set = [&](Kind kind, ExitCode code, const std::exception& error) {
    outcome.kind_ = kind;
    outcome.exit_code_ = static_cast<int>(code);
    outcome.words_ = error.what();
    outcome.agreed_before_ = dynamic_cast<const Agreed*>(&error) != nullptr;
  };
  try {
    throw;
  } catch (const Failure& error) {
    set(Kind::failure, error.code, error);
  } catch (const Bug& error) {
    set(Kind::bug, ExitCode::anything_else, error);
  } catch (const std::bad_alloc&) {
    set(Kind::failure, ExitCode::not_enough_memory, MemoryError("out of memory"));
  } catch (const std::exception& error) {
    set(Kind::library, ExitCode::anything_else, error);
  } catch (...) {
    set(Kind::bug, ExitCode::anything_else, Bug("an exception that is no std::exception"));
  }
  return outcome;
}

void Outcome::agree(const Communicator& ranks) const {
  const bool failed = kind_ != Kind::success;
  const Index first = ranks.min(failed ? Index{ranks.rank()} : Index{ranks.size()});
  if (first == ranks.size()) return;
  const int root = static_cast<int>(first);

  int kind_and_code[2] = {static_cast<int>(kind_), exit_code_};
  ranks.broadcast(std::span<int>(kind_and_code), root);
  std::string words = words_;
  const bool of_one_rank = kind_ == Kind::bug || kind_ == Kind::library;
  if (of_one_rank && !agreed_before_ && ranks.size() > 1)
    words = "rank " + std::to_string(ranks.rank()) + ": " + words;
  ranks.broadcast(words, root);

  switch (static_cast<Kind>(kind_and_code[0])) {
    case Kind::bug:
      throw AgreedError<Bug>(words);
    case Kind::library:
      throw AgreedError<LibraryError>(words);
    default:
      throw_failure(static_cast<ExitCode>(kind_and_code[1]), words);
  }
}

}  // namespace constrictor::comm
