// SPDX-License-Identifier: Apache-2.0
// Streams and events. Work is done at once, unless it stands behind a collective that other ranks
// have not joined. With CONSTRICTOR_EMULATED_STREAMS=lazy it is done as late as the program allows:
// when the host or another stream waits for it. What then goes wrong lacks a wait.
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "cuda_runtime_api.h"
#include "runtime.hpp"

namespace emulation {

namespace {

using Clock = std::chrono::steady_clock;

struct Item {
  std::function<bool()> ready;  // empty: at once
  std::function<void()> run;
};
struct Queue {
  std::deque<Item> items;
  std::uint64_t submitted = 0, done = 0;
  bool running = false;
};
using SharedQueue = std::shared_ptr<Queue>;

struct Mark {  // a place in a queue
  SharedQueue queue;
  std::uint64_t position = 0;
};

}  // namespace
}  // namespace emulation

struct CUstream_st {
  emulation::SharedQueue queue = std::make_shared<emulation::Queue>();
};
struct CUevent_st {
  unsigned flags = 0;
  emulation::Mark mark;
  std::shared_ptr<emulation::Clock::time_point> time;  // when the stream got there
};

namespace emulation {

namespace {

std::recursive_mutex mutex;  // of all queues and handles; held while work is done
std::set<cudaStream_t> streams;
std::set<cudaEvent_t> events;
const SharedQueue default_queue = std::make_shared<Queue>();

bool lazy() { return setting("CONSTRICTOR_EMULATED_STREAMS", "") == "lazy"; }
const SharedQueue& queue_of(cudaStream_t stream) {
  return stream == nullptr ? default_queue : stream->queue;
}
bool event_exists(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  return events.contains(event);
}

/// Does what can be done without waiting; true when the first `until` pieces of work are done.
bool advance(Queue& queue, std::uint64_t until) {
  const std::lock_guard lock(mutex);
  while (queue.done < until && !queue.running) {
    Item& next = queue.items.front();
    if (next.ready && device_state() == cudaSuccess && !next.ready()) break;
    const Item item = std::move(next);
    queue.items.pop_front();
    queue.running = true;  // host functions may look at their own stream
    if (item.run) item.run();
    queue.running = false;
    ++queue.done;
  }
  return queue.done >= until;
}
void finish(const Mark& mark) {
  while (mark.queue != nullptr && !advance(*mark.queue, mark.position))
    std::this_thread::sleep_for(std::chrono::microseconds(20));
}
Mark end_of(const SharedQueue& queue) {
  const std::lock_guard lock(mutex);
  return {queue, queue->submitted};
}
void push(cudaStream_t stream, Item item) {
  if (stream == nullptr) drain_all();  // the default stream waits for all others
  const SharedQueue queue = queue_of(stream);
  {
    const std::lock_guard lock(mutex);
    queue->items.push_back(std::move(item));
    ++queue->submitted;
  }
  if (!lazy() || stream == nullptr) advance(*queue, queue->submitted);
}

}  // namespace

bool stream_exists(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  return stream == nullptr || streams.contains(stream);
}
void submit(cudaStream_t stream, std::function<void()> work) {
  push(stream, {{}, std::move(work)});
}
void submit_when(cudaStream_t stream, std::function<bool()> ready) {
  push(stream, {std::move(ready), {}});
}
bool runs_at_once(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  return stream == nullptr || (!lazy() && queue_of(stream)->items.empty());
}
void drain_all() {
  std::vector<Mark> ends;
  {
    const std::lock_guard lock(mutex);
    for (const cudaStream_t stream : streams) ends.push_back(end_of(stream->queue));
  }
  for (const Mark& mark : ends) finish(mark);
}

}  // namespace emulation

using namespace emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  *stream = new CUstream_st;
  const std::lock_guard lock(mutex);
  streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr || !stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  finish(end_of(stream->queue));
  const std::lock_guard lock(mutex);
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  if (stream == nullptr) drain_all();
  finish(end_of(queue_of(stream)));
  check_guards("work before a synchronize");
  return answer(device_state());
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  const Mark end = end_of(queue_of(stream));
  const bool done = advance(*end.queue, end.position);
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  return done ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  if (!stream_exists(stream)) return answer(cudaErrorInvalidResourceHandle);
  submit(stream, [function, argument] { function(argument); });
  return answer(device_state());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  *event = new CUevent_st{flags, {}, {}};
  const std::lock_guard lock(mutex);
  events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  if (events.erase(event) == 0) return answer(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!stream_exists(stream) || !event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  const std::lock_guard lock(mutex);
  event->time = std::make_shared<Clock::time_point>();
  submit(stream, [time = event->time] { *time = Clock::now(); });
  event->mark = end_of(queue_of(stream));
  return answer(device_state());
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  if (!stream_exists(stream) || !event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  const std::lock_guard lock(mutex);
  if (event->mark.queue != nullptr)  // one never recorded is no reason to wait
    submit_when(stream, [mark = event->mark] { return advance(*mark.queue, mark.position); });
  return answer(device_state());
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  const bool done =
      event->mark.queue == nullptr || advance(*event->mark.queue, event->mark.position);
  if (const cudaError_t state = device_state(); state != cudaSuccess) return answer(state);
  return done ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event_exists(event)) return answer(cudaErrorInvalidResourceHandle);
  finish(event->mark);
  check_guards("work before a synchronize");
  return answer(device_state());
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!event_exists(start) || !event_exists(end) || start->mark.queue == nullptr ||
      end->mark.queue == nullptr || ((start->flags | end->flags) & cudaEventDisableTiming) != 0)
    return answer(cudaErrorInvalidResourceHandle);
  if (cudaEventQuery(start) == cudaErrorNotReady || cudaEventQuery(end) == cudaErrorNotReady)
    return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
  return answer(device_state());
}
