// SPDX-License-Identifier: Apache-2.0
// A failure on one rank becomes the failure of all. Tested with the last rank failing: the one that
// a test on rank 0 alone would miss.
#include <gtest/gtest.h>

#include <new>

#include "comm/agree.hpp"

namespace constrictor::comm {
namespace {

/// What `work` ends in: exit code, whether all ranks know it, and the words.
struct Ending {
  int code = -1;
  bool agreed = false;
  std::string words;
};
template <class Work>
Ending ending_of(Work&& work) {
  try {
    work();
  } catch (const std::exception& error) {
    Ending ending{1, dynamic_cast<const Agreed*>(&error) != nullptr, error.what()};
    if (const auto* failure = dynamic_cast<const Failure*>(&error))
      ending.code = static_cast<int>(failure->code);
    return ending;
  }
  return {};
}

/// Who it was, where there was a choice.
std::string named(const Communicator& ranks, int rank) {
  return ranks.size() > 1 ? "rank " + std::to_string(rank) + ": " : "";
}

TEST(Agree, ALostRankIsNotWaitedFor) {
  const Communicator ranks = Communicator::world();
  EXPECT_THROW(agree(ranks, [] { throw LostRank("x"); }), LostRank);  // no collective was entered
  EXPECT_FALSE(ranks.any(false));
}

TEST(Agree, ReturnsWhatTheWorkReturns) {
  const Communicator ranks = Communicator::world();
  EXPECT_EQ(agree(ranks, [&] { return ranks.rank() + 10; }), ranks.rank() + 10);
  bool ran = false;
  agree(ranks, [&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(Agree, FailureOfTheLastRankReachesAll) {
  const Communicator ranks = Communicator::world();
  const int last = ranks.size() - 1;
  const Ending ending = ending_of([&] {
    agree(ranks, [&] {
      if (ranks.rank() == last) throw NumericalError("block 3, q_proj: NaN");
    });
  });
  EXPECT_EQ(ending.code, 4);
  EXPECT_TRUE(ending.agreed);
  EXPECT_EQ(ending.words, "block 3, q_proj: NaN");
  EXPECT_FALSE(ranks.any(false)) << "the ranks can still talk";
}

TEST(Agree, TheLowestFailingRankSpeaks) {
  const Communicator ranks = Communicator::world();
  const int first = ranks.size() > 1 ? 1 : 0;
  const Ending ending = ending_of([&] {
    agree(ranks, [&]() -> double {
      if (ranks.rank() < first) return 1;
      if (ranks.rank() == first) throw FileSystemError("disk full");
      throw UserError("something else");
    });
  });
  EXPECT_EQ(ending.code, 5);
  EXPECT_EQ(ending.words, "disk full");
}

TEST(Agree, KeepsTypeAndExitCode) {
  const Communicator ranks = Communicator::world();
  EXPECT_THROW(agree(ranks, [] { throw UserError("x"); }), UserError);
  EXPECT_THROW(agree(ranks, [] { throw MemoryError("x"); }), MemoryError);
  EXPECT_THROW(agree(ranks, [] { throw NumericalError("x"); }), NumericalError);
  EXPECT_THROW(agree(ranks, [] { throw FileSystemError("x"); }), FileSystemError);
  EXPECT_THROW(agree(ranks, [] { throw Preempted("x"); }), Preempted);
  EXPECT_THROW(agree(ranks, [] { throw Bug("x"); }), Bug);
  EXPECT_THROW(agree(ranks, [] { throw LibraryError("x"); }), LibraryError);
  EXPECT_EQ(
      ending_of([&] { agree(ranks, [] { throw Failure(ExitCode::anything_else, "x"); }); }).code,
      1);
}

TEST(Agree, BugsAndLibraryErrorsNameTheRank) {
  const Communicator ranks = Communicator::world();
  const int last = ranks.size() - 1;
  const std::string who = named(ranks, last);
  const auto on_last = [&](auto error) {
    return ending_of([&] {
      agree(ranks, [&] {
        if (ranks.rank() == last) throw error;
      });
    });
  };
  EXPECT_EQ(on_last(Bug("a.cpp:1: n > 0 does not hold")).words,
            who + "a.cpp:1: n > 0 does not hold");
  EXPECT_EQ(on_last(LibraryError("potrf: info 3")).words, who + "potrf: info 3");
  EXPECT_EQ(on_last(std::runtime_error("words")).words, who + "words");
  EXPECT_EQ(on_last(std::bad_alloc()).words, "out of memory");
  EXPECT_EQ(on_last(std::bad_alloc()).code, 3);
}

TEST(Agree, AnInnerAgreementIsNotNamedTwice) {
  const Communicator ranks = Communicator::world();
  const int last = ranks.size() - 1;
  const Ending ending = ending_of([&] {
    agree(ranks, [&] {
      agree(ranks, [&] {
        if (ranks.rank() == last) throw Bug("once");
      });
    });
  });
  EXPECT_EQ(ending.words, named(ranks, last) + "once");
}

TEST(Agree, WorkOfTheRootAlone) {
  const Communicator ranks = Communicator::world();
  int runs = 0;
  agree_on_root(ranks, [&] { ++runs; });
  EXPECT_EQ(ranks.sum(Index{runs}), 1);
  EXPECT_THROW(agree_on_root(ranks, [] { throw UserError("deck"); }), UserError);
}

/// Tests the tester: run with --gtest_also_run_disabled_tests, the whole program must fail.
TEST(TestTheTester, DISABLED_FailsOnTheLastRank) {
  const Communicator ranks = Communicator::world();
  EXPECT_NE(ranks.rank(), ranks.size() - 1);
}

}  // namespace
}  // namespace constrictor::comm
