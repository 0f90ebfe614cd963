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
void Event::Api::destroy(Raw event) noexcept { cudaEventDestroy(event); }

Event::Event() : handle_(new_event()) {}
void Event::record(const Stream& stream) {
  CONSTRICTOR_CUDA(cudaEventRecord(handle_.get(), stream.raw()));
}
void Event::synchronize() const { CONSTRICTOR_CUDA(cudaEventSynchronize(handle_.get())); }

Stream::Stream(std::string name)
    : name_(std::move(name)), handle_(new_stream()), marker_(std::make_unique<Event>()) {
  nvtxNameCudaStreamA(handle_.get(), name_.c_str());
}
Stream::~Stream() = default;

void Stream::wait_for(const Stream& other) const {
  if (&other == this) return;
  marker_->record(other);
  wait_for(*marker_);
}
void Stream::wait_for(const Event& event) const {
  CONSTRICTOR_CUDA(cudaStreamWaitEvent(raw(), event.raw(), 0));
}

void Stream::synchronize() const {
  const cudaError_t code = cudaStreamSynchronize(raw());
  if (code != cudaSuccess) cuda_check(code, ("waiting for stream " + name_).c_str());
}

}  // namespace constrictor::device
