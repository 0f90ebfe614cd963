// SPDX-License-Identifier: Apache-2.0
// Skips every test, by name, where there is no device.
#include <gtest/gtest.h>

#include "device/device.hpp"

namespace {

struct NeedsDevice : testing::Environment {
  void SetUp() override {
    const std::string found = constrictor::device::cuda_description();
    if (found.find(" 0 devices") != std::string::npos)
      GTEST_SKIP() << "no CUDA device here: " << found;
  }
};

}  // namespace

int main(int count, char** words) {
  testing::InitGoogleTest(&count, words);
  testing::AddGlobalTestEnvironment(new NeedsDevice);
  return RUN_ALL_TESTS();
}
