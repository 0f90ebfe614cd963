// SPDX-License-Identifier: Apache-2.0
// Which devices there seem to be. CONSTRICTOR_EMULATED_DEVICES (1), CONSTRICTOR_EMULATED_DRIVER
// (13000; 0: no driver), CONSTRICTOR_EMULATED_MEMORY (bytes of a device, 8 GiB),
// CONSTRICTOR_EMULATED_CAPABILITY (90: 9.0).
#include <cstdio>
#include <cstring>

#include "block.hpp"
#include "cuda_runtime_api.h"
#include "runtime.hpp"

using emulation::answer;

namespace {
thread_local int current_device = 0;

bool exists(int device) {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess && device >= 0 && device < devices;
}
}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  *version =
      static_cast<int>(emulation::number_setting("CONSTRICTOR_EMULATED_DRIVER", CUDART_VERSION));
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  int driver = 0;
  cudaDriverGetVersion(&driver);
  // Within a major version older drivers serve newer runtimes.
  if (driver / 1000 < CUDART_VERSION / 1000) return answer(cudaErrorInsufficientDriver);
  *count = static_cast<int>(emulation::number_setting("CONSTRICTOR_EMULATED_DEVICES", 1));
  return *count == 0 ? answer(cudaErrorNoDevice) : cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (!exists(device)) return answer(cudaErrorInvalidDevice);
  current_device = device;
  return answer(emulation::device_state());
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!exists(device)) return answer(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "Emulated device (CPU)");
  properties->uuid.bytes[0] = static_cast<char>(device + 1);
  std::size_t free = 0;
  cudaMemGetInfo(&free, &properties->totalGlobalMem);
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = emulation::most_shared_bytes;
  properties->sharedMemPerMultiprocessor = 228 << 10;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  const long capability = emulation::number_setting("CONSTRICTOR_EMULATED_CAPABILITY", 90);
  properties->major = static_cast<int>(capability / 10);
  properties->minor = static_cast<int>(capability % 10);
  properties->multiProcessorCount = 132;
  properties->l2CacheSize = 50 << 20;
  properties->ECCEnabled = 1;
  properties->pciBusID = device + 1;
  properties->hostRegisterSupported = 1;
  properties->memoryPoolsSupported = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties{};
  if (const cudaError_t read = cudaGetDeviceProperties(&properties, device); read != cudaSuccess)
    return read;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = properties.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      break;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      break;
    case cudaDevAttrL2CacheSize:
      *value = properties.l2CacheSize;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = properties.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(properties.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrHostRegisterSupported:
      *value = properties.hostRegisterSupported;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = properties.memoryPoolsSupported;
      break;
    default:
      return answer(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  if (!exists(device)) return answer(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<std::size_t>(length), "0000:%02x:00.0", device + 1);
  return cudaSuccess;
}
