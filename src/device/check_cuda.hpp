// SPDX-License-Identifier: Apache-2.0
#pragma once
// Inside *_cuda.cpp, *_gpu.cpp and *_gpu.cu only: every call to CUDA and its libraries goes through
// one of these.
#include <string>

#include "core/error.hpp"

namespace constrictor::device {

/// LibraryError with the call, the library's own words, the device and a hint what to do; a
/// MemoryError where the device's memory is exhausted. Returns when the code means success.
void cuda_check(int code, const char* call);
void cublas_check(int code, const char* call);
void cusolver_check(int code, const char* call);

/// After a launch: LibraryError that names the kernel and its stream.
void launch_check(int code, const char* kernel, const std::string& stream);

}  // namespace constrictor::device

#define CONSTRICTOR_CUDA(call) ::constrictor::device::cuda_check(static_cast<int>(call), #call)
#define CONSTRICTOR_CUBLAS(call) ::constrictor::device::cublas_check(static_cast<int>(call), #call)
#define CONSTRICTOR_CUSOLVER(call) \
  ::constrictor::device::cusolver_check(static_cast<int>(call), #call)
