// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>
#include <nvtx3/nvToolsExtCudaRt.h>

#include "device/check_cuda.hpp"
#include "device/stream.hpp"

namespace constrictor::device {
namespace {

/// Not ordered with the legacy default stream, which library internals may touch.
cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  CONSTRICTOR_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}
cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  CONSTRICTOR_CUDA(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return event;
}

}  // namespace

void Stream::Api::destroy(Raw stream) noexcept { cudaStreamDestroy(stream); }
void Stream::EventApi::destroy(Raw event) noexcept { cudaEventDestroy(event); }

Stream::Stream(std::string name)
    : name_(std::move(name)), handle_(new_stream()), marker_(new_event()) {
  nvtxNameCudaStreamA(handle_.get(), name_.c_str());
}

void Stream::wait_for(const Stream& other) const {
  if (&other == this) return;
  CONSTRICTOR_CUDA(cudaEventRecord(marker_.get(), other.raw()));
  CONSTRICTOR_CUDA(cudaStreamWaitEvent(raw(), marker_.get(), 0));
}

void Stream::synchronize() const {
  const cudaError_t code = cudaStreamSynchronize(raw());
  if (code != cudaSuccess) cuda_check(code, ("waiting for stream " + name_).c_str());
}

}  // namespace constrictor::device
