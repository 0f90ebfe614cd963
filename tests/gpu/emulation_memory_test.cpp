// SPDX-License-Identifier: Apache-2.0
// The emulated device itself: its memory, its limits, and faults on order.
#include <cmath>

#include "emulation_fixture.hpp"

namespace {

using namespace emulation_test;
using EmulationMemory = Emulation;

__global__ void fill(int* values) { values[threadIdx.x] = static_cast<int>(threadIdx.x); }
__global__ void write_at(float* values, int place) { values[place] = 1.0f; }
TEST_F(EmulationMemory, WritesOutsideAnAllocationAreNoticed) {
  for (const int place : {-1, 7, 40, -60}) {
    OnDevice<float> values(7);
    testing::internal::CaptureStderr();
    ASSERT_EQ(launch(write_at, {1, 1}, values.data, place), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("kernel kernel_of_test wrote"), std::string::npos) << said;
    testing::internal::CaptureStderr();
    cudaFree(std::exchange(values.data, nullptr));  // says so again
    testing::internal::GetCapturedStderr();
    emulation::restore_device();
  }
}
TEST_F(EmulationMemory, FreshMemoryIsNaN) {
  OnDevice<float> values(1000);
  for (const float value : values.values()) ASSERT_TRUE(std::isnan(value));
}
TEST_F(EmulationMemory, MemoryEndsAndIsFreedOnce) {
  std::size_t free = 0, total = 0, after = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  void* all = nullptr;
  EXPECT_EQ(cudaMalloc(&all, free + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  void* some = nullptr;
  ASSERT_EQ(cudaMalloc(&some, 1000), cudaSuccess);
  cudaMemGetInfo(&after, &total);
  EXPECT_EQ(free - after, 1024u);
  EXPECT_EQ(cudaFree(some), cudaSuccess);
  testing::internal::CaptureStderr();
  EXPECT_EQ(cudaFree(some), cudaErrorInvalidValue);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("twice"), std::string::npos);
}
TEST_F(EmulationMemory, CopiesStayWithinAllocations) {
  OnDevice<float> values(8);
  std::vector<float> host(16, 2.0f);
  testing::internal::CaptureStderr();
  EXPECT_EQ(cudaMemcpy(values.data, host.data(), 9 * 4, cudaMemcpyHostToDevice),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), values.data + 1, 8 * 4, cudaMemcpyDeviceToHost),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(values.data, host.data(), 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  testing::internal::GetCapturedStderr();
}

TEST_F(EmulationMemory, LimitsOfTheHardware) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(launch(fill, {1, 1025}, nullptr), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(fill, {dim3(1, 65536), 32}, nullptr), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(fill, {1, 32, (48 << 10) + 1}, nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(
      cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize, (227 << 10) + 1),
      cudaErrorInvalidValue);
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10),
            cudaSuccess);
  OnDevice<int> values(32);
  EXPECT_EQ(launch(fill, {1, 32, 227 << 10}, values.data), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

__global__ void writes_behind_shared() {
  static_cast<float*>(emulated_dynamic_shared())[blockDim.x] = 1.0f;
}
TEST_F(EmulationMemory, WritesBehindSharedMemoryAreNoticed) {
  testing::internal::CaptureStderr();
  ASSERT_EQ(launch(writes_behind_shared, {1, 32, 128}), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("behind its 128 bytes"), std::string::npos) << said;
}

TEST_F(EmulationMemory, FaultsOnOrder) {
  OnDevice<int> values(32);
  setenv("CONSTRICTOR_EMULATED_FAULT", "launch:of_test:2:214", 1);
  EXPECT_EQ(launch(fill, {1, 32}, values.data), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  testing::internal::CaptureStderr();
  EXPECT_EQ(launch(fill, {1, 32}, values.data), cudaSuccess);
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorECCUncorrectable);
  EXPECT_EQ(cudaGetLastError(), cudaErrorECCUncorrectable);
  EXPECT_EQ(cudaGetLastError(), cudaErrorECCUncorrectable);
}
TEST_F(EmulationMemory, NoDeviceNoDriver) {
  int devices = -1;
  setenv("CONSTRICTOR_EMULATED_DEVICES", "0", 1);
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaErrorNoDevice);
  setenv("CONSTRICTOR_EMULATED_DEVICES", "3", 1);
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
  EXPECT_EQ(devices, 3);
  setenv("CONSTRICTOR_EMULATED_DRIVER", "12040", 1);
  EXPECT_EQ(cudaGetDeviceCount(&devices), cudaErrorInsufficientDriver);
  EXPECT_EQ(devices, 0);
}

}  // namespace
