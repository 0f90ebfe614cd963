// SPDX-License-Identifier: Apache-2.0
// Collectives from device to device, one device a rank.
#include "comm/device_communicator.hpp"

#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "comm/agree.hpp"
#include "core/timer.hpp"
#include "device/device_matrix.hpp"

namespace constrictor::comm {
namespace {

struct DeviceRanks : testing::Test {
  Communicator ranks = Communicator::world();
  std::optional<device::Context> gpu;

  void SetUp() override {
    int devices = 0;
    const bool known = cudaGetDeviceCount(&devices) == cudaSuccess;
    if (ranks.any(!known || devices < ranks.node_size()))
      GTEST_SKIP() << "no CUDA device here for each of " << ranks.node_size() << " ranks";
    gpu.emplace(ranks.node_rank());
  }

  device::DeviceMatrix<float> filled(Index rows, Index cols, float value) const {
    Matrix<float> host(rows, cols);
    for (Index i = 0; i < host.size(); ++i)
      host.data()[i] = value * static_cast<float>(i % 1000 + 1);
    return device::uploaded<float>(*gpu, host.view(), "a test");
  }
  void expect_filled(device::DeviceMatrix<float>& m, float value) const {
    const auto host = device::downloaded<float>(*gpu, m.view());
    for (Index i = 0; i < host.size(); ++i)
      if (host.data()[i] != value * static_cast<float>(i % 1000 + 1)) {
        ADD_FAILURE() << "element " << i << " is " << host.data()[i];
        return;
      }
  }
};

TEST_F(DeviceRanks, SumsAreTheSameEverywhere) {
  const DeviceCommunicator devices(ranks, *gpu);
  const auto mine = static_cast<float>(ranks.rank() + 1);
  auto a = filled(1, 1, mine), b = filled(37, 41, 2 * mine), none = filled(0, 7, mine),
       c = filled(1, 4099, 3 * mine);
  const DeviceView<float> views[] = {a.view(), b.view(), none.view(), c.view()};
  devices.sum(views, gpu->main());
  devices.finish(gpu->main());
  const auto total = static_cast<float>(ranks.size() * (ranks.size() + 1) / 2);
  expect_filled(a, total);
  expect_filled(b, 2 * total);
  expect_filled(c, 3 * total);
}

TEST_F(DeviceRanks, TheRootsValuesGetEverywhere) {
  const DeviceCommunicator devices(ranks, *gpu);
  for (int root = 0; root < ranks.size(); ++root) {
    const auto mine = static_cast<float>(10 + ranks.rank());
    auto a = filled(3, 1009, mine), b = filled(1, 5, -mine);
    const DeviceView<float> views[] = {a.view(), b.view()};
    gpu->copies().wait_for(gpu->main());
    devices.broadcast(views, root, gpu->copies());
    devices.finish(gpu->copies());
    gpu->main().wait_for(gpu->copies());
    expect_filled(a, static_cast<float>(10 + root));
    expect_filled(b, static_cast<float>(-10 - root));
  }
  EXPECT_THROW(devices.broadcast({}, ranks.size(), gpu->main()), Bug);
}

TEST_F(DeviceRanks, OneRankTouchesNoNccl) {
  const Communicator alone;
  const DeviceCommunicator devices(alone, *gpu);
  EXPECT_EQ(devices.library(), "none (one rank)");
  auto a = filled(3, 5, 7);
  const DeviceView<float> views[] = {a.view()};
  devices.sum(views, gpu->main());
  devices.finish(gpu->main());
  expect_filled(a, 7);
}

TEST_F(DeviceRanks, GapsBetweenRowsAreRefused) {
  const DeviceCommunicator devices(ranks, *gpu);
  if (ranks.size() == 1) return;
  EXPECT_EQ(devices.library().rfind("NCCL 2.", 0), 0u) << devices.library();
  auto a = filled(4, 6, 1);
  const DeviceView<float> views[] = {a.view().block(0, 0, 4, 5)};
  EXPECT_THROW(devices.sum(views, gpu->main()), Bug);
}

TEST_F(DeviceRanks, TwoRanksOnOneDeviceAreRefusedEverywhere) {
  if (ranks.size() == 1) return;
  const device::Context shared(0);
  try {
    const DeviceCommunicator devices(ranks, shared);
    ADD_FAILURE() << "not refused";
  } catch (const UserError& error) {
    const std::string words = error.what();
    EXPECT_NE(words.find("ranks 0 and 1"), std::string::npos) << words;
    EXPECT_NE(words.find("share one device"), std::string::npos) << words;
    EXPECT_NE(words.find("slurm/bind_gpu.sh"), std::string::npos) << words;
    EXPECT_NE(dynamic_cast<const Agreed*>(&error), nullptr);
  }
}

TEST_F(DeviceRanks, DifferentVersionsOfNcclAreRefusedEverywhere) {
#ifdef CONSTRICTOR_EMULATED_CUDA
  if (ranks.size() == 1) return;
  if (ranks.rank() == 1) setenv("CONSTRICTOR_EMULATED_NCCL", "22703", 1);
  try {
    const DeviceCommunicator devices(ranks, *gpu);
    ADD_FAILURE() << "not refused";
  } catch (const UserError& error) {
    const std::string words = error.what();
    EXPECT_NE(words.find("runs NCCL 2.28.9, rank 1 on"), std::string::npos) << words;
    EXPECT_NE(words.find("runs NCCL 2.27.3"), std::string::npos) << words;
  }
  unsetenv("CONSTRICTOR_EMULATED_NCCL");
#else
  GTEST_SKIP() << "needs the emulated device";
#endif
}

/// Run by gpu_mpi_rank_death under a launcher that is told to let the others live.
TEST_F(DeviceRanks, DISABLED_ARankThatDiesIsNoticed) {
  DeviceCommunicator devices(ranks, *gpu);
  if (ranks.rank() + 1 == ranks.size()) {
    sleep(1);  // the others wait by then
    kill(getpid(), SIGKILL);
  }
  auto a = filled(5, 5, 1);
  const DeviceView<float> views[] = {a.view()};
  const double start = wall_seconds();
  try {
    devices.sum(views, gpu->main());
    devices.finish(gpu->main());
  } catch (const LostRank& error) {
    std::printf("after %s30 s: %s\n", wall_seconds() - start < 30 ? "less than " : "more than ",
                error.what());
    std::fflush(stdout);
    std::_Exit(1);  // as main() would; MPI cannot end without the lost rank
  }
}

}  // namespace
}  // namespace constrictor::comm
