// SPDX-License-Identifier: Apache-2.0
// Warp functions, and what device_functions.h asks of the processor that runs the thread.
#include <algorithm>

#include "processor.hpp"

namespace emulation {

namespace {
constinit thread_local Processor* processor = nullptr;  // of the block that runs here
}

const char* name_of(WarpCall call) {
  switch (call) {
    case WarpCall::barrier:
      return "__syncwarp";
    case WarpCall::shuffle:
      return "shuffle";
    case WarpCall::vote:
      return "vote";
  }
  return "?";
}

std::uint64_t Processor::warp_call(WarpCall call, unsigned mask, std::uint64_t value, int source,
                                   const Place& place) {
  const unsigned index = thread();
  if ((mask >> (index % lanes) & 1) == 0)
    fail("a lane calls a warp function whose mask leaves it out", place);
  Thread& me = threads_[index];
  me.state = State::in_warp_call;
  me.call = call;
  me.mask = mask;
  me.value = value;
  me.source = source;
  me.place = place;
  waiting_lanes_[index / lanes] |= 1u << index % lanes;
  if (complete_warp_call(index)) {
    me.state = State::running;
    if (!failure_.empty()) fail({}, place);
  } else {
    wait();
  }
  return threads_[index].result;
}

/// Where all lanes named by this thread's mask have come (those that have left are not waited for):
/// gives all their results and makes the others ready.
bool Processor::complete_warp_call(unsigned index) {
  const Thread& me = threads_[index];
  const unsigned warp = index / lanes, first = warp * lanes;
  if ((me.mask & ~missing_lanes_[warp] & ~waiting_lanes_[warp]) != 0) return false;
  unsigned taking_part = 0;
  for (unsigned lane = 0; lane < std::min(lanes, size_ - first); ++lane) {
    const Thread& other = threads_[first + lane];
    if (((me.mask & ~missing_lanes_[warp]) >> lane & 1) == 0) continue;
    if (other.state != State::in_warp_call || other.mask != me.mask || other.call != me.call)
      return false;
    taking_part |= 1u << lane;
  }
  waiting_lanes_[warp] &= ~taking_part;
  unsigned votes = 0;
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((taking_part >> lane & 1) != 0 && threads_[first + lane].value != 0) votes |= 1u << lane;
  for (unsigned i = 0; i < lanes; ++i) {
    const unsigned lane = kernel_->reversed ? lanes - 1 - i : i;
    if ((taking_part >> lane & 1) == 0) continue;
    Thread& other = threads_[first + lane];
    other.result = votes;
    if (other.call == WarpCall::shuffle) {
      if ((taking_part >> other.source & 1) == 0) {
        failure_ = std::string(other.place.file_name()) + ":" + std::to_string(other.place.line()) +
                   ": a shuffle reads from lane " + std::to_string(other.source) +
                   ", which takes no part in it";
        return true;
      }
      other.result = threads_[first + static_cast<unsigned>(other.source)].value;
    }
    if (first + lane != index) make_ready(first + lane);
  }
  return true;
}

std::string run_block(const Kernel& kernel, uint3 index) {
  thread_local Processor of_this_thread;
  processor = &of_this_thread;
  return processor->run(kernel, index);
}

int block_barrier(int predicate, const Place& place) {
  return processor->block_barrier(predicate, place);
}
std::uint64_t warp_call(WarpCall call, unsigned mask, std::uint64_t value, int source,
                        const Place& place) {
  return processor->warp_call(call, mask, value, source, place);
}
int lane() { return static_cast<int>(processor->thread() % 32); }
void fail(const char* message, const Place& place) { processor->fail(message, place); }
void* dynamic_shared() { return processor->shared(); }

}  // namespace emulation
