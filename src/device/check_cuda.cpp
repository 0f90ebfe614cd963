// SPDX-License-Identifier: Apache-2.0
// Codes of CUDA and its libraries become sentences that end in a hint.
#include "device/check_cuda.hpp"

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>

#include <array>
#include <string_view>

namespace constrictor::device {
namespace {

struct Hint {
  std::string_view name;  // as cudaGetErrorName says it
  const char* advice;
};
constexpr const char* no_such_code =
    "the program has no code for this device: build it with -DCMAKE_CUDA_ARCHITECTURES=<its "
    "compute capability>";
constexpr const char* wrong_kernel =
    "a kernel went wrong, please report it; CUDA_LAUNCH_BLOCKING=1 makes this message name the "
    "kernel, compute-sanitizer finds its line";
constexpr const char* broken_link =
    "the link between devices failed: see nvidia-smi nvlink -e, run on another node or with one "
    "rank";
constexpr std::array hints = {
    Hint{"cudaErrorECCUncorrectable",
         "the device's memory is damaged: have the device reset or the node drained (nvidia-smi -q "
         "-d ECC), then run again elsewhere"},
    Hint{"cudaErrorIllegalAddress", wrong_kernel},
    Hint{"cudaErrorMisalignedAddress", wrong_kernel},
    Hint{"cudaErrorIllegalInstruction", wrong_kernel},
    Hint{"cudaErrorInvalidPc", wrong_kernel},
    Hint{"cudaErrorLaunchFailure", wrong_kernel},
    Hint{"cudaErrorAssert", wrong_kernel},
    Hint{"cudaErrorLaunchOutOfResources", wrong_kernel},
    Hint{"cudaErrorInvalidConfiguration", wrong_kernel},
    Hint{"cudaErrorHardwareStackError", wrong_kernel},
    Hint{"cudaErrorLaunchTimeout",
         "the device also drives a screen, which bounds the time of a kernel: use another device"},
    Hint{"cudaErrorInsufficientDriver",
         "update the driver, or build with the toolkit that it knows, or run on the CPU with --set "
         "run.device=cpu"},
    Hint{"cudaErrorNoDevice",
         "see nvidia-smi and CUDA_VISIBLE_DEVICES, or run on the CPU with --set "
         "run.device=cpu"},
    Hint{"cudaErrorNoKernelImageForDevice", no_such_code},
    Hint{"cudaErrorUnsupportedPtxVersion", no_such_code},
    Hint{"cudaErrorInvalidDeviceFunction", no_such_code},
    Hint{"cudaErrorDevicesUnavailable",
         "another process holds the device (nvidia-smi; compute mode exclusive): one rank drives "
         "one device"},
    Hint{"cudaErrorSystemNotReady",
         "the fabric manager of this node does not run: tell its "
         "administrators"},
    Hint{"cudaErrorNvlinkUncorrectable", broken_link},
    Hint{"cudaErrorPeerAccessUnsupported", broken_link},
    Hint{"cudaErrorContained",
         "the device contained a memory error: run again, it needs a new "
         "process"},
};

/// Of the stream whose kernels fail, the one launched last: failures are noticed later.
struct LastLaunch {
  std::string kernel, stream;
};
LastLaunch& last_launch() {
  static thread_local LastLaunch launch;
  return launch;
}

std::string on_device() {
  int number = -1;
  if (cudaGetDevice(&number) != cudaSuccess || number < 0) return "";
  return " on device " + std::to_string(number);
}

/// Failures of kernels surface in later calls, with the codes of a broken device.
bool is_asynchronous(cudaError_t code) {
  return code != cudaErrorInvalidValue && code != cudaErrorInvalidConfiguration &&
         code != cudaErrorMemoryAllocation && code != cudaErrorInsufficientDriver &&
         code != cudaErrorNoDevice;
}

[[noreturn]] void throw_cuda(cudaError_t code, const std::string& call, bool name_last) {
  cudaGetLastError();  // the next call must not report this failure again
  const std::string name = cudaGetErrorName(code);
  std::string words = call + ": " + cudaGetErrorString(code) + " (" + name + ")" + on_device();
  if (code == cudaErrorMemoryAllocation)
    throw MemoryError(words +
                      "; end other programs on the device (nvidia-smi), or see --dry-run for what "
                      "this one needs");
  const LastLaunch& last = last_launch();
  if (name_last && !last.kernel.empty() && is_asynchronous(code))
    words += ", the last kernel queued was " + last.kernel + " on stream " + last.stream;
  for (const Hint& hint : hints)
    if (hint.name == name) words += std::string("; ") + hint.advice;
  throw LibraryError(words);
}

/// cuSOLVER has no function that says its codes in words.
const char* cusolver_words(int code) {
  switch (code) {
    case CUSOLVER_STATUS_NOT_INITIALIZED:
      return "not initialised";
    case CUSOLVER_STATUS_ALLOC_FAILED:
      return "out of memory";
    case CUSOLVER_STATUS_INVALID_VALUE:
      return "an argument is wrong";
    case CUSOLVER_STATUS_ARCH_MISMATCH:
      return "the device is too old";
    case CUSOLVER_STATUS_EXECUTION_FAILED:
      return "a kernel failed";
    case CUSOLVER_STATUS_INTERNAL_ERROR:
      return "an internal operation failed";
    case CUSOLVER_STATUS_NOT_SUPPORTED:
      return "not supported";
    default:
      return "unknown failure";
  }
}

/// A library's failure is often CUDA's: that names the cause.
[[noreturn]] void throw_library(const std::string& sentence, bool out_of_memory) {
  const cudaError_t cause = cudaGetLastError();
  if (out_of_memory)
    throw MemoryError(sentence + on_device() +
                      "; end other programs on the device (nvidia-smi), or see --dry-run for what "
                      "this one needs");
  if (cause != cudaSuccess) throw_cuda(cause, sentence, true);
  throw LibraryError(sentence + on_device());
}

}  // namespace

void cuda_check(int code, const char* call) {
  if (code != cudaSuccess) throw_cuda(static_cast<cudaError_t>(code), call, true);
}

void launch_check(int code, const char* kernel, const std::string& stream) {
  if (code != cudaSuccess)
    throw_cuda(static_cast<cudaError_t>(code),
               std::string("kernel ") + kernel + " on stream " + stream, false);
  last_launch().kernel = kernel;
  last_launch().stream = stream;
}

void cublas_check(int code, const char* call) {
  if (code == CUBLAS_STATUS_SUCCESS) return;
  throw_library(
      std::string(call) + ": cuBLAS: " + cublasGetStatusString(static_cast<cublasStatus_t>(code)),
      code == CUBLAS_STATUS_ALLOC_FAILED);
}

void cusolver_check(int code, const char* call) {
  if (code == CUSOLVER_STATUS_SUCCESS) return;
  throw_library(std::string(call) + ": cuSOLVER: " + cusolver_words(code) + " (code " +
                    std::to_string(code) + ")",
                code == CUSOLVER_STATUS_ALLOC_FAILED);
}

}  // namespace constrictor::device
