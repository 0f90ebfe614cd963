// SPDX-License-Identifier: Apache-2.0
#pragma once
// Every collective section ends in an agreement, so that nobody waits for a rank that has left.

#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "comm/communicator.hpp"

namespace constrictor::comm {

/// Mark of an exception that every rank throws: main() may leave in good order. Any other exception
/// is known to one rank only, and main() has to end the others by force.
struct Agreed {
  virtual ~Agreed() = default;
};

/// Another rank has died or cannot be reached: there is nobody to agree with, main() ends the job.
struct LostRank : LibraryError {
  using LibraryError::LibraryError;
};

/// What became of the work on one rank.
class Outcome {
 public:
  /// Takes the exception that is being handled; call inside a catch block.
  static Outcome of_current_exception();
  Outcome() = default;  // success

  /// Collective. Returns when all ranks succeeded; otherwise every rank throws the failure of the
  /// lowest failing rank: the same type, exit code and words, marked Agreed. Bugs and library
  /// errors are preceded by "rank k: " where there are several; the user's mistakes read the same
  /// on any number of ranks.
  void agree(const Communicator& ranks) const;

 private:
  enum class Kind : int { success, failure, bug, library };
  Kind kind_ = Kind::success;
  int exit_code_ = 0;
  bool agreed_before_ = false;  // comes out of an inner agreement and names its rank already
  std::string words_;
};

/// Collective. Runs work() on every rank; all ranks return or all ranks throw (see Outcome::agree);
/// only LostRank leaves at once and without the others.
/// `work` may hold collectives only if every rank that gets there cannot fail before the others.
template <class Work>
auto agree(const Communicator& ranks, Work&& work) {
  Outcome outcome;
  if constexpr (std::is_void_v<std::invoke_result_t<Work>>) {
    try {
      work();
    } catch (const LostRank&) {
      throw;
    } catch (...) {
      outcome = Outcome::of_current_exception();
    }
    outcome.agree(ranks);
  } else {
    std::optional<std::invoke_result_t<Work>> result;
    try {
      result.emplace(work());
    } catch (const LostRank&) {
      throw;
    } catch (...) {
      outcome = Outcome::of_current_exception();
    }
    outcome.agree(ranks);
    return std::move(*result);
  }
}

/// Collective. Runs work() on `root` only; its failure reaches all ranks.
template <class Work>
void agree_on_root(const Communicator& ranks, Work&& work, int root = 0) {
  agree(ranks, [&] {
    if (ranks.rank() == root) work();
  });
}

}  // namespace constrictor::comm
