// SPDX-License-Identifier: Apache-2.0
// Streams and events. Work is done at once: on one stream that is what a program must expect.
#include <chrono>
#include <mutex>
#include <set>

#include "cuda_runtime_api.h"
#include "runtime.hpp"

using emulation::answer;
using Clock = std::chrono::steady_clock;

struct CUstream_st {
  unsigned flags = 0;
};
struct CUevent_st {
  unsigned flags = 0;
  bool recorded = false;
  Clock::time_point time;
};

namespace emulation {

namespace {
std::mutex handles_mutex;
std::set<const void*> streams, events;  // that exist

bool event_exists(cudaEvent_t event) {
  const std::lock_guard lock(handles_mutex);
  return events.contains(event);
}
}  // namespace

bool stream_exists(cudaStream_t stream) {
  const std::lock_guard lock(handles_mutex);
  return stream == nullptr || streams.contains(stream);
}
void submit(cudaStream_t, std::function<void()> work) { work(); }
void drain_all() {}

}  // namespace emulation

using namespace emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  *stream = new CUstream_st{flags};
  const std::lock_guard lock(handles_mutex);
  streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(handles_mutex);
  if (streams.erase(stream) == 0) return answer(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  check_guards("work before a synchronize");
  return answer(device_state());
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  if (!stream_exists(stream) || !event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  return answer(device_state());
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  submit(stream, [function, argument] { function(argument); });
  return answer(device_state());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  *event = new CUevent_st{flags, false, {}};
  const std::lock_guard lock(handles_mutex);
  events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(handles_mutex);
  if (events.erase(event) == 0) return answer(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!stream_exists(stream) || !event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  event->recorded = true;
  event->time = Clock::now();
  return answer(device_state());
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  return answer(device_state());
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  check_guards("work before a synchronize");
  return answer(device_state());
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!event_exists(start) || !event_exists(end) || !start->recorded || !end->recorded ||
      ((start->flags | end->flags) & cudaEventDisableTiming) != 0)
    return answer(cudaErrorInvalidResourceHandle);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return answer(device_state());
}
