// SPDX-License-Identifier: Apache-2.0
// Lazy streams: what a program forgets to wait for is not there yet.
#include "emulation_fixture.hpp"

namespace {

using namespace emulation_test;

__global__ void add_one(int* values) { values[threadIdx.x] += 1; }

struct EmulatedStreams : Emulation {
  void SetUp() override {
    Emulation::SetUp();
    for (cudaStream_t* stream : {&first, &second})
      ASSERT_EQ(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    setenv("CONSTRICTOR_EMULATED_STREAMS", "lazy", 1);
  }
  void TearDown() override {
    cudaStreamDestroy(first);
    cudaStreamDestroy(second);
    cudaEventDestroy(event);
    unsetenv("CONSTRICTOR_EMULATED_STREAMS");
    Emulation::TearDown();
  }
  static void launch_on(cudaStream_t stream, int* values) {
    cudaLaunchConfig_t configuration{};
    configuration.blockDim = dim3(4);
    configuration.stream = stream;
    ASSERT_EQ(cudaLaunchKernelEx(&configuration, add_one, values), cudaSuccess);
  }
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  const std::vector<int> zeros = std::vector<int>(4, 0), ones = std::vector<int>(4, 1);
};

TEST_F(EmulatedStreams, TheHostFindsNothingBeforeItHasWaited) {
  OnDevice<int> values(zeros);
  std::vector<int> host(4, 7);
  launch_on(first, values.data);
  ASSERT_EQ(cudaMemcpyAsync(host.data(), values.data, 16, cudaMemcpyDeviceToHost, first),
            cudaSuccess);
  EXPECT_EQ(host, std::vector<int>(4, -1)) << "0xff bytes until the stream got there";
  ASSERT_EQ(cudaStreamSynchronize(first), cudaSuccess);
  EXPECT_EQ(host, ones);
}

TEST_F(EmulatedStreams, AStreamThatDoesNotWaitComesTooEarly) {
  for (const bool waits : {false, true}) {
    OnDevice<int> values(zeros);
    std::vector<int> host(4, 7);
    launch_on(first, values.data);
    ASSERT_EQ(cudaEventRecord(event, first), cudaSuccess);
    launch_on(first, values.data);  // behind the event
    if (waits) {
      ASSERT_EQ(cudaStreamWaitEvent(second, event), cudaSuccess);
    }
    ASSERT_EQ(cudaMemcpyAsync(host.data(), values.data, 16, cudaMemcpyDeviceToHost, second),
              cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(second), cudaSuccess);
    EXPECT_EQ(host, waits ? ones : zeros);
    ASSERT_EQ(cudaStreamSynchronize(first), cudaSuccess);
    EXPECT_EQ(values.values(), std::vector<int>(4, 2));
  }
}

TEST_F(EmulatedStreams, PageLockedMemoryIsReadLate) {
  OnDevice<int> values(4);
  std::vector<int> host = ones;
  for (const bool locked : {false, true}) {
    host = ones;
    if (locked) {
      ASSERT_EQ(cudaHostRegister(host.data(), 16, cudaHostRegisterDefault), cudaSuccess);
    }
    ASSERT_EQ(cudaMemcpyAsync(values.data, host.data(), 16, cudaMemcpyHostToDevice, first),
              cudaSuccess);
    host = zeros;
    ASSERT_EQ(cudaStreamSynchronize(first), cudaSuccess);
    EXPECT_EQ(values.values(), locked ? zeros : ones);
    if (locked) {
      ASSERT_EQ(cudaHostUnregister(host.data()), cudaSuccess);
    }
  }
}

TEST_F(EmulatedStreams, MemoryIsFreedInTheOrderOfTheStream) {
  int* values = nullptr;
  ASSERT_EQ(cudaMallocAsync(&values, 16, first), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(values, zeros.data(), 16, cudaMemcpyHostToDevice, first), cudaSuccess);
  launch_on(first, values);
  std::vector<int> host(4);
  ASSERT_EQ(cudaMemcpyAsync(host.data(), values, 16, cudaMemcpyDeviceToHost, first), cudaSuccess);
  ASSERT_EQ(cudaFreeAsync(values, first), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(second), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(first), cudaSuccess);
  EXPECT_EQ(host, ones);
}

TEST_F(EmulatedStreams, FailuresSurfaceLater) {
  OnDevice<int> values(2);  // the kernel writes four
  testing::internal::CaptureStderr();
  launch_on(first, values.data);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(first), cudaErrorIllegalAddress);
  cudaFree(std::exchange(values.data, nullptr));
  testing::internal::GetCapturedStderr();
}

}  // namespace
