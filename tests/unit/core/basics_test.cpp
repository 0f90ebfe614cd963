// SPDX-License-Identifier: Apache-2.0
// Matrix, View, Handle, bfloat16, parallel_for, errors, timers, build info.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/bfloat16.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/handle.hpp"
#include "core/matrix.hpp"
#include "core/parallel.hpp"
#include "core/timer.hpp"

namespace constrictor {
namespace {

TEST(Matrix, IsZeroRowMajorAndAligned) {
  Matrix<float> m(3, 5);
  for (float v : m.values()) EXPECT_EQ(v, 0.0f);
  m(2, 4) = 7;
  EXPECT_EQ(m.data()[14], 7.0f);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.data()) % 64, 0u);
  EXPECT_EQ(m.bytes(), 60u);
  const Matrix<float> empty(0, 5);
  EXPECT_TRUE(empty.empty());
  EXPECT_THROW(Matrix<float>(-1, 2), Bug);
}

TEST(Matrix, CopiesAreDeepAndViewsAreWindows) {
  Matrix<float> m(4, 4);
  for (Index i = 0; i < 16; ++i) m.data()[i] = static_cast<float>(i);
  const View<float> window = m.view().block(1, 2, 2, 2);
  EXPECT_EQ(window(0, 0), 6.0f);
  EXPECT_EQ(window(1, 1), 11.0f);
  const Matrix<float> copy(read_only(window));
  window(0, 0) = -1;
  EXPECT_EQ(m(1, 2), -1.0f);
  EXPECT_EQ(copy(0, 0), 6.0f);
  EXPECT_EQ(copy.cols(), 2);
  const Matrix<double> wide = converted<double>(read_only(window));
  EXPECT_EQ(wide(0, 0), -1.0);
}

struct CountingApi {
  using Raw = int;
  static inline int destroyed = 0;
  static Raw empty() { return -1; }
  static void destroy(Raw) noexcept { ++destroyed; }
};
TEST(Handle, HasOneOwner) {
  CountingApi::destroyed = 0;
  {
    Handle<CountingApi> a(5), b(std::move(a)), c;
    EXPECT_EQ(b.get(), 5);
    EXPECT_EQ(a.get(), -1);
    c = std::move(b);
    EXPECT_EQ(c.get(), 5);
  }
  EXPECT_EQ(CountingApi::destroyed, 1);
}

TEST(BFloat16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(rounded_to_bfloat16(1.0f), 1.0f);
  EXPECT_EQ(rounded_to_bfloat16(1.0f + 0x1p-8f), 1.0f);                // tie, down to even
  EXPECT_EQ(rounded_to_bfloat16(1.0f + 3 * 0x1p-8f), 1.0f + 0x1p-6f);  // tie, up to even
  EXPECT_EQ(rounded_to_bfloat16(1.0f + 0x1.8p-8f), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isinf(rounded_to_bfloat16(std::numeric_limits<float>::max())));
  EXPECT_TRUE(std::isnan(rounded_to_bfloat16(std::bit_cast<float>(0x7f800001u))));
  EXPECT_EQ(bfloat16(-0.0f).bits, 0x8000);
}

TEST(ParallelFor, VisitsEachOnceAndRethrows) {
  std::vector<int> visits(1000);
  parallel_for(1000, [&](Index i) { ++visits[static_cast<std::size_t>(i)]; });
  for (int count : visits) EXPECT_EQ(count, 1);
  EXPECT_THROW(parallel_for(10,
                            [](Index i) {
                              if (i == 7) throw UserError("seven");
                            }),
               UserError);
  Index nested = 0;
  parallel_for(1, [&](Index) { parallel_for(5, [&](Index i) { nested += i; }); });
  EXPECT_EQ(nested, 10);
  parallel_for(0, [](Index) { FAIL(); });
}

TEST(Pieces, CoverWithoutOverlap) {
  EXPECT_EQ(pieces(0, 4), 0);
  EXPECT_EQ(pieces(9, 4), 3);
  EXPECT_EQ(piece(9, 4, 2).first, 8);
  EXPECT_EQ(piece(9, 4, 2).last, 9);
  EXPECT_EQ(piece(9, 4, 1).size(), 4);
}

TEST(Errors, CarryTheirExitCode) {
  EXPECT_EQ(UserError("x").code, ExitCode::bad_input);
  EXPECT_EQ(static_cast<int>(Preempted("x").code), 75);
  const int rows = 3;
  try {
    CONSTRICTOR_REQUIRE(rows == 4, rows);
    ADD_FAILURE();
  } catch (const Bug& bug) {
    EXPECT_NE(std::string(bug.what()).find("rows == 4 does not hold | 3"), std::string::npos);
  }
}

TEST(PhaseTimer, Adds) {
  SecondsByPhase phases;
  { const PhaseTimer timer(phases, "work"); }
  { const PhaseTimer timer(phases, "work"); }
  EXPECT_EQ(phases.size(), 1u);
  EXPECT_GE(phases["work"], 0);
}

TEST(PhaseTimer, TellsTheObserverOfBeginningAndEnd) {
  static std::string told;
  const PhaseObserver before = phase_observer;
  phase_observer = {[](const char* phase) { told += std::string("<") + phase; },
                    [] { told += ">"; }};
  SecondsByPhase phases;
  {
    const PhaseTimer outer(phases, "a");
    const PhaseTimer inner(phases, "b");
    phase_observer = before;  // whoever was told of the beginning is told of the end
  }
  { const PhaseTimer unseen(phases, "c"); }
  EXPECT_EQ(told, "<a<b>>");
}

TEST(BuildInfo, IsFilledIn) {
  EXPECT_FALSE(build_info().version.empty());
  EXPECT_FALSE(build_info().compiler.empty());
  const std::string& sha = build_info().git_sha;
  if (sha != "unknown") {
    EXPECT_EQ(sha.find_first_not_of("0123456789abcdef+"), std::string::npos) << sha;
  }
}

}  // namespace
}  // namespace constrictor
