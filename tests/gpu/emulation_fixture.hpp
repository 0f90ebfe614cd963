// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests of the emulated device itself.
#include <cuda_runtime.h>
#include <emulation.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace emulation_test {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
};
template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), Launch shape, Arguments... arguments) {
  cudaLaunchConfig_t configuration{};
  configuration.gridDim = shape.grid;
  configuration.blockDim = shape.block;
  configuration.dynamicSmemBytes = shape.shared_bytes;
  emulated_kernel_name("kernel_of_test");
  return cudaLaunchKernelEx(&configuration, kernel, Parameters(arguments)...);
}

template <class T>
struct OnDevice {
  explicit OnDevice(std::size_t n) : count(n) {
    EXPECT_EQ(cudaMalloc(&data, n * sizeof(T)), cudaSuccess);
  }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    EXPECT_EQ(cudaMemcpy(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  OnDevice(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(data); }
  std::vector<T> values() const {
    std::vector<T> host(count);
    EXPECT_EQ(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return host;
  }
  T* data = nullptr;
  std::size_t count;
};

struct Emulation : testing::Test {
  void SetUp() override { emulation::restore_device(); }
  void TearDown() override {
    unsetenv("CONSTRICTOR_EMULATED_FAULT");
    unsetenv("CONSTRICTOR_EMULATED_ORDER");
    unsetenv("CONSTRICTOR_EMULATED_DEVICES");
    unsetenv("CONSTRICTOR_EMULATED_DRIVER");
    emulation::restore_device();
  }
};

}  // namespace emulation_test
