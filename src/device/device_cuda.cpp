// SPDX-License-Identifier: Apache-2.0
// The device layer of a build with CUDA.
#include <cuda_runtime.h>

#include "core/error.hpp"
#include "core/memory.hpp"
#include "device/device.hpp"

namespace constrictor::device {

namespace {

constexpr const char* cpu_hint = "; run on the CPU with --set run.device=cpu";

/// CUDA packs 12.4 as 12040; 0 means that there is none.
std::string version_text(int packed) {
  if (packed == 0) return "none";
  return std::to_string(packed / 1000) + "." + std::to_string(packed % 1000 / 10);
}

struct Versions {
  int runtime = 0;
  int driver = 0;  // 0 without a driver
};
Versions versions() {
  Versions found;
  if (cudaRuntimeGetVersion(&found.runtime) != cudaSuccess) found.runtime = 0;
  if (cudaDriverGetVersion(&found.driver) != cudaSuccess) found.driver = 0;
  return found;
}

}  // namespace

bool built_with_cuda() { return true; }

std::string cuda_description() {
  const Versions found = versions();
  int devices = 0;
  if (found.driver == 0 || cudaGetDeviceCount(&devices) != cudaSuccess) devices = 0;
  return "runtime " + version_text(found.runtime) + ", driver " + version_text(found.driver) +
         ", " + std::to_string(devices) + (devices == 1 ? " device" : " devices");
}

Device choose_cuda_device(int node_local_rank) {
  const std::string key = "run.device: cuda: ";
  const Versions found = versions();
  if (found.driver == 0)
    throw UserError(key + "there is no NVIDIA driver on this machine" + cpu_hint);

  // The runtime counts only what CUDA_VISIBLE_DEVICES leaves visible.
  int devices = 0;
  const cudaError_t counted = cudaGetDeviceCount(&devices);
  if (counted == cudaErrorInsufficientDriver)
    throw UserError(key + "the driver knows CUDA " + version_text(found.driver) +
                    ", this program needs " + version_text(found.runtime) + cpu_hint);
  if (counted == cudaErrorNoDevice || (counted == cudaSuccess && devices == 0))
    throw UserError(key + "no device is visible (nvidia-smi, CUDA_VISIBLE_DEVICES)" + cpu_hint);
  if (counted != cudaSuccess) throw UserError(key + cudaGetErrorString(counted) + cpu_hint);
  if (devices > 1 && node_local_rank >= devices)
    throw UserError(key + "more ranks than devices on this node: " + std::to_string(devices) +
                    " visible, and one rank drives one device" + cpu_hint);

  const int number = devices == 1 ? 0 : node_local_rank;
  cudaDeviceProp properties{};
  const cudaError_t read = cudaGetDeviceProperties(&properties, number);
  if (read != cudaSuccess) throw UserError(key + cudaGetErrorString(read) + cpu_hint);
  const std::string capability =
      std::to_string(properties.major) + "." + std::to_string(properties.minor);
  if (properties.major < 8)
    throw UserError(key + properties.name + " is too old: it has compute capability " + capability +
                    ", and products in bfloat16 need 8.0 (Ampere) or newer" + cpu_hint);
  return {"cuda",
          std::string(properties.name) + ", " +
              bytes_text(static_cast<double>(properties.totalGlobalMem)) + ", compute capability " +
              capability + ", CUDA " + version_text(found.runtime) + ", driver " +
              version_text(found.driver),
          number};
}

}  // namespace constrictor::device
