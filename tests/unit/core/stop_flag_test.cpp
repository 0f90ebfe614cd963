// SPDX-License-Identifier: Apache-2.0
#include "core/stop_flag.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace constrictor {
namespace {

TEST(StopFlag, SignalsSetItInsteadOfEndingTheProgram) {
  install_stop_handlers();
  EXPECT_FALSE(stop_requested());
  EXPECT_EQ(stop_signal(), "");
  std::raise(SIGUSR1);
  EXPECT_TRUE(stop_requested());
  EXPECT_EQ(stop_signal(), "SIGUSR1");
  std::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), "SIGTERM");
  request_stop(0);
  EXPECT_FALSE(stop_requested());
}

}  // namespace
}  // namespace constrictor
