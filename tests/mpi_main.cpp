// SPDX-License-Identifier: Apache-2.0
// main() of tests that run under mpirun: rank 0 prints as usual, the others speak only when they
// fail, and every rank leaves with the worst exit code, so that a failure on the last rank counts.
//
// In such tests use EXPECT, never ASSERT, before a collective: a rank that returns early leaves the
// others waiting.
#include <gtest/gtest.h>
#include <mpi.h>

#include <iostream>

#include "comm/session.hpp"

namespace {

/// Failures of one rank, with its number, in one piece each.
class FailurePrinter : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::ostringstream text;
    text << "rank " << rank_ << ": " << (result.file_name() ? result.file_name() : "?") << ":"
         << result.line_number() << ": " << result.message() << "\n";
    std::cout << text.str() << std::flush;
  }

 private:
  int rank_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const constrictor::comm::MpiSession session(argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(rank));
  }
  const int mine = RUN_ALL_TESTS();
  int worst = 0;
  MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  return worst;
}
