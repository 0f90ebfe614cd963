// SPDX-License-Identifier: Apache-2.0
// Launches: the checks of the hardware, faults on order, blocks spread over the processor's cores.
//   CONSTRICTOR_EMULATED_FAULT=launch:<part of the kernel's name or *>:<k>:<code>
//     the k-th launch that fits does not run, and the device fails with that cudaError_t
//   CONSTRICTOR_EMULATED_ORDER=reversed   threads and blocks start from the last one
#include <omp.h>

#include <atomic>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include "block.hpp"
#include "cuda_runtime.h"
#include "emulation.hpp"
#include "runtime.hpp"

namespace emulation {

void forget_errors();  // errors.cpp

namespace {

thread_local std::string next_name;
std::mutex launches_mutex;
std::map<const void*, std::size_t> shared_asked_for;  // cudaFuncSetAttribute
long fitting_launches = 0;                            // of the fault that is on order

/// Whether this launch is the one that is to fail, and with what.
cudaError_t fault_for(const std::string& name) {
  const std::string order = setting("CONSTRICTOR_EMULATED_FAULT", "");
  if (order.empty()) return cudaSuccess;
  std::vector<std::string> words;
  std::istringstream text(order);
  for (std::string word; std::getline(text, word, ':');) words.push_back(word);
  if (words.size() != 4 || words[0] != "launch") {
    say("CONSTRICTOR_EMULATED_FAULT is not launch:<name>:<k>:<code>: " + order);
    std::abort();
  }
  if (words[1] != "*" && name.find(words[1]) == std::string::npos) return cudaSuccess;
  const std::lock_guard lock(launches_mutex);
  return ++fitting_launches == std::stol(words[2]) ? static_cast<cudaError_t>(std::stoi(words[3]))
                                                   : cudaSuccess;
}

cudaError_t check_shape(const Kernel& kernel, const void* function) {
  const dim3 grid = kernel.grid, block = kernel.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  const std::string who = "kernel " + kernel.name + ": ";
  if (threads == 0 || threads > 1024 || block.z > 64)
    return complain(cudaErrorInvalidConfiguration,
                    who + std::to_string(threads) + " threads in a block");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535)
    return complain(cudaErrorInvalidConfiguration, who + "a grid of " + std::to_string(grid.x) +
                                                       " x " + std::to_string(grid.y) + " x " +
                                                       std::to_string(grid.z) + " blocks");
  std::size_t most = 48 << 10;
  {
    const std::lock_guard lock(launches_mutex);
    const auto asked = shared_asked_for.find(function);
    if (asked != shared_asked_for.end()) most = std::max(most, asked->second);
  }
  if (kernel.shared_bytes > most)
    return complain(cudaErrorInvalidValue, who + std::to_string(kernel.shared_bytes) +
                                               " bytes of dynamic shared memory, " +
                                               std::to_string(most) +
                                               " allowed by cudaFuncSetAttribute");
  return cudaSuccess;
}

void run_grid(const Kernel& kernel) {
  const std::int64_t x = kernel.grid.x, y = kernel.grid.y, blocks = x * y * kernel.grid.z;
  const std::int64_t threads = blocks * kernel.block.x * kernel.block.y * kernel.block.z;
  std::atomic<bool> failed = false;
  std::string failure;
#pragma omp parallel for schedule(dynamic) if (blocks > 1 && threads >= 8192)
  for (std::int64_t i = 0; i < blocks; ++i) {
    if (failed) continue;
    const std::int64_t b = kernel.reversed ? blocks - 1 - i : i;
    const uint3 index{static_cast<unsigned>(b % x), static_cast<unsigned>(b / x % y),
                      static_cast<unsigned>(b / (x * y))};
    const std::string what = run_block(kernel, index);
    if (what.empty()) continue;
#pragma omp critical(emulated_launch_failure)
    if (!failed.exchange(true))
      failure = "kernel " + kernel.name + ", block (" + std::to_string(index.x) + "," +
                std::to_string(index.y) + "," + std::to_string(index.z) + "): " + what;
  }
  if (failed) break_device(cudaErrorLaunchFailure, failure);
  check_guards("kernel " + kernel.name);
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& configuration, const void* function,
                   std::function<void()> thread) {
  Kernel kernel{next_name.empty() ? "without a name" : next_name,
                std::move(thread),
                configuration.gridDim,
                configuration.blockDim,
                configuration.dynamicSmemBytes,
                setting("CONSTRICTOR_EMULATED_ORDER", "") == "reversed"};
  next_name.clear();
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  if (!stream_exists(configuration.stream)) return answer(cudaErrorInvalidResourceHandle);
  if (const cudaError_t shape = check_shape(kernel, function); shape != cudaSuccess) return shape;
  const cudaError_t fault = fault_for(kernel.name);
  submit(configuration.stream, [kernel = std::move(kernel), fault] {
    if (fault != cudaSuccess)
      break_device(fault, "kernel " + kernel.name + " fails as CONSTRICTOR_EMULATED_FAULT asks");
    else
      run_grid(kernel);
  });
  return cudaSuccess;
}

void restore_device() {
  forget_errors();
  const std::lock_guard lock(launches_mutex);
  fitting_launches = 0;
}

}  // namespace emulation

void emulated_kernel_name(const char* name) { emulation::next_name = name; }

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<std::size_t>(value) > emulation::most_shared_bytes)
    return emulation::complain(cudaErrorInvalidValue,
                               std::to_string(value) +
                                   " bytes of shared memory asked for, a block has " +
                                   std::to_string(emulation::most_shared_bytes));
  const std::lock_guard lock(emulation::launches_mutex);
  emulation::shared_asked_for[function] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          std::size_t shared_bytes) {
  if (threads < 1 || threads > 1024) return emulation::answer(cudaErrorInvalidValue);
  const std::size_t by_memory = (228 << 10) / (shared_bytes + (1 << 10));
  *blocks = std::min(2048 / threads, static_cast<int>(std::min<std::size_t>(by_memory, 32)));
  return cudaSuccess;
}
