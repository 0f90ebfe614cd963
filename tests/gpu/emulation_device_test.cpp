// SPDX-License-Identifier: Apache-2.0
// The device layer where things go wrong, which only an emulated device can be made to.
#include "device/device.hpp"
#include "emulation_fixture.hpp"
#include "kernels/launch.cuh"

namespace {

using namespace constrictor;
using namespace emulation_test;

struct EmulationDevice : Emulation {
  /// Why the rank gets no device.
  static std::string refusal(int node_local_rank) {
    try {
      device::choose_device("cuda", node_local_rank);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  }
  static bool says(const std::string& words, const std::string& part) {
    return words.find(part) != std::string::npos;
  }
};

TEST_F(EmulationDevice, RanksOfANodeTakeOneDeviceEach) {
  setenv("CONSTRICTOR_EMULATED_DEVICES", "3", 1);
  for (const int rank : {0, 1, 2}) {
    const auto device = device::choose_device("cuda", rank);
    EXPECT_EQ(device.name, "cuda");
    EXPECT_EQ(device.number, rank);
    EXPECT_PRED2(says, device.description, "Emulated device");
    EXPECT_PRED2(says, device.description, "8.0 GiB");
    EXPECT_PRED2(says, device.description, "compute capability 9.0");
  }
  const std::string words = refusal(3);
  EXPECT_PRED2(says, words, "more ranks than devices on this node: 3 visible");
  EXPECT_PRED2(says, words, "--set run.device=cpu");
}

TEST_F(EmulationDevice, ASingleVisibleDeviceIsTakenToBeTheRanksOwn) {
  EXPECT_EQ(device::choose_device("cuda", 0).number, 0);
  EXPECT_EQ(device::choose_device("cuda", 5).number, 0);
}

TEST_F(EmulationDevice, WithoutDriverOrDeviceTheWayToTheProcessorIsNamed) {
  setenv("CONSTRICTOR_EMULATED_DEVICES", "0", 1);
  EXPECT_PRED2(says, refusal(0), "no device is visible");
  EXPECT_PRED2(says, refusal(0), "--set run.device=cpu");
  setenv("CONSTRICTOR_EMULATED_DRIVER", "12040", 1);
  EXPECT_PRED2(says, refusal(0), "the driver knows CUDA 12.4, this program needs 13.0");
  setenv("CONSTRICTOR_EMULATED_DRIVER", "0", 1);
  EXPECT_PRED2(says, refusal(0), "there is no NVIDIA driver");
  EXPECT_EQ(device::cuda_description(), "runtime 13.0, driver none, 0 devices");
  EXPECT_EQ(device::choose_device("cpu", 0).name, "cpu");
}

TEST_F(EmulationDevice, DevicesWithoutBfloat16ProductsAreRefused) {
  setenv("CONSTRICTOR_EMULATED_CAPABILITY", "75", 1);
  EXPECT_PRED2(says, refusal(0), "Emulated device (CPU) is too old: it has compute capability 7.5");
  EXPECT_PRED2(says, refusal(0), "--set run.device=cpu");
  setenv("CONSTRICTOR_EMULATED_CAPABILITY", "80", 1);
  EXPECT_EQ(refusal(0), "");
  unsetenv("CONSTRICTOR_EMULATED_CAPABILITY");
}

__global__ void nothing() {}

TEST_F(EmulationDevice, AFailedKernelIsNoticedByWhoeverWaits) {
  for (const auto& [code, hint] : {std::pair{"214", "ECC"}, {"719", "compute-sanitizer"}}) {
    emulation::restore_device();
    const device::Stream stream("main");
    setenv("CONSTRICTOR_EMULATED_FAULT", (std::string("launch:column_sweep:1:") + code).c_str(), 1);
    testing::internal::CaptureStderr();
    kernels::launch("column_sweep", nothing, {1, 32}, stream);
    std::string words;
    try {
      stream.synchronize();
    } catch (const LibraryError& error) {
      words = error.what();
    }
    testing::internal::GetCapturedStderr();
    EXPECT_PRED2(says, words, "waiting for stream main: ");
    EXPECT_PRED2(says, words, "the last kernel queued was column_sweep on stream main");
    EXPECT_PRED2(says, words, hint);
    unsetenv("CONSTRICTOR_EMULATED_FAULT");
  }
}

}  // namespace
