// SPDX-License-Identifier: Apache-2.0
#include "processor.hpp"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <exception>

namespace emulation {

namespace {
using boost::context::protected_fixedsize_stack;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr std::size_t stack_bytes = 128 << 10;
constinit thread_local Processor* entering = nullptr;  // whose fiber starts

/// Leaves for `to`; what stopped here is kept in `from`. Whoever comes back leaves its own place.
void jump(Context& from, Context to) {
  const transfer_t back = jump_fcontext(to, &from);
  *static_cast<Context*>(back.data) = back.fctx;
}
struct Aborted {};  // unwinds a thread of a block that has failed
std::string text_of(const Place& place) {
  return std::string(place.file_name()) + ":" + std::to_string(place.line());
}
}  // namespace

Processor::Processor() : shared_(std::make_unique<Shared>()) {}
Processor::~Processor() {
  for (const auto& fiber : fibers_) protected_fixedsize_stack(stack_bytes).deallocate(fiber->stack);
}

void Processor::begin(const Kernel& kernel, uint3 index) {
  kernel_ = &kernel;
  size_ = kernel.block.x * kernel.block.y * kernel.block.z;
  started_ = ended_ = at_barrier_ = 0;
  predicates_ = predicates_then_ = 0;
  aborting_ = false;
  failure_.clear();
  ready_count_ = 0;
  waiting_lanes_.fill(0);
  missing_lanes_.fill(0);
  if (size_ % lanes != 0) missing_lanes_[size_ / lanes] = ~0u << size_ % lanes;
  threads_.assign(size_, Thread{});
  blockIdx = index;
  blockDim = kernel.block;
  gridDim = kernel.grid;
  const dim3 shape = kernel.block, before = coordinates_of_;
  if (shape.x != before.x || shape.y != before.y || shape.z != before.z) {
    coordinates_.clear();
    for (unsigned z = 0; z < shape.z; ++z)
      for (unsigned y = 0; y < shape.y; ++y)
        for (unsigned x = 0; x < shape.x; ++x) coordinates_.push_back({x, y, z});
    coordinates_of_ = shape;
  }
  std::memset(shared_->bytes, 0xff, kernel.shared_bytes + guard_bytes);
}

std::string Processor::run(const Kernel& kernel, uint3 index) {
  begin(kernel, index);
  run_until_nothing_is_ready(next());
  if (failure_.empty() && ended_ < size_) failure_ = waiting_text();
  if (failure_.empty() && !shared_guard_intact())
    failure_ = "wrote behind its " + std::to_string(kernel.shared_bytes) +
               " bytes of dynamic shared memory";
  if (ended_ < size_) abort_all();
  return failure_;
}

void Processor::run_until_nothing_is_ready(Context first) { jump(scheduler_, first); }

/// Who runs next: a thread that is ready, a fiber that starts threads, or nobody here any more.
Context Processor::next() {
  if (!failure_.empty()) return scheduler_;
  if (ready_count_ > 0) {
    const unsigned thread = ready_[ready_first_];
    ready_first_ = (ready_first_ + 1) % ring;
    --ready_count_;
    threads_[thread].state = State::running;
    threadIdx = coordinates_[thread];
    running_ = threads_[thread].fiber;
    return running_->context;
  }
  if (started_ == size_) return scheduler_;
  running_ = &idle_fiber();
  return running_->context;
}

Fiber& Processor::idle_fiber() {
  if (!idle_.empty()) {
    Fiber& fiber = *idle_.back();
    idle_.pop_back();
    return fiber;
  }
  Fiber& made = *fibers_.emplace_back(std::make_unique<Fiber>());
  made.stack = protected_fixedsize_stack(stack_bytes).allocate();
  // Stacks that all begin at the same place of a page would fight for the same lines of the cache.
  const std::size_t shift = fibers_.size() * 128 % 4096;
  made.context =
      make_fcontext(static_cast<char*>(made.stack.sp) - shift, made.stack.size - shift, enter);
  entering = this;
  return made;
}

/// What a fiber does all its life.
void Processor::enter(transfer_t from) {
  *static_cast<Context*>(from.data) = from.fctx;
  Processor& processor = *entering;
  Fiber& me = *processor.running_;
  for (;;) {
    processor.work(me);
    processor.idle_.push_back(&me);
    processor.suspend(me);
  }
}

void Processor::suspend(Fiber& me) { jump(me.context, next()); }

/// Threads of the block one after the other on this fiber's stack.
void Processor::work(Fiber& me) {
  while (started_ < size_ && failure_.empty()) {
    const unsigned thread = nth(started_++);
    me.thread = thread;
    threadIdx = coordinates_[thread];
    threads_[thread].state = State::running;
    try {
      kernel_->thread();
    } catch (const Aborted&) {
    } catch (const std::exception& error) {
      if (failure_.empty()) failure_ = std::string("threw: ") + error.what();
    }
    threads_[thread].state = State::ended;
    ++ended_;
    // Lanes that have left take no part: a warp may have waited for this one only.
    const unsigned warp = thread / lanes;
    missing_lanes_[warp] |= 1u << thread % lanes;
    if (waiting_lanes_[warp] == 0 || aborting_) continue;
    for (unsigned other = warp * lanes; other < std::min((warp + 1) * lanes, size_); ++other)
      if (threads_[other].state == State::in_warp_call && complete_warp_call(other)) {
        make_ready(other);
        break;
      }
  }
}

void Processor::make_ready(unsigned thread) {
  threads_[thread].state = State::ready;
  ready_[(ready_first_ + ready_count_++) % ring] = thread;
}

/// The running thread waits until it has been made ready.
void Processor::wait() {
  Fiber& me = *running_;
  threads_[me.thread].fiber = &me;
  suspend(me);
  if (aborting_) throw Aborted{};
}

void Processor::fail(const std::string& message, const Place& place) {
  if (failure_.empty()) failure_ = text_of(place) + ": " + message;
  throw Aborted{};
}

int Processor::block_barrier(int predicate, const Place& place) {
  Thread& me = threads_[thread()];
  if (at_barrier_ == 0) {
    barrier_place_ = place;
  } else if (place.line() != barrier_place_.line() || place.column() != barrier_place_.column()) {
    fail("threads of one block wait at different barriers, here and at " + text_of(barrier_place_),
         place);
  }
  predicates_ += predicate != 0;
  if (++at_barrier_ == size_) {
    at_barrier_ = 0;
    predicates_then_ = std::exchange(predicates_, 0);
    for (unsigned i = 0; i < size_; ++i)
      if (threads_[nth(i)].state == State::at_block_barrier) make_ready(nth(i));
    return predicates_then_;
  }
  me.state = State::at_block_barrier;
  me.place = place;
  wait();
  return predicates_then_;
}

void Processor::abort_all() {
  aborting_ = true;
  for (Thread& thread : threads_)
    if (thread.state == State::at_block_barrier || thread.state == State::in_warp_call ||
        thread.state == State::ready) {
      running_ = thread.fiber;
      run_until_nothing_is_ready(thread.fiber->context);
    }
}

std::string Processor::waiting_text() const {
  unsigned at_barriers = 0, in_warp_calls = 0;
  const Thread *at_barrier = nullptr, *in_warp_call = nullptr;
  for (const Thread& thread : threads_) {
    if (thread.state == State::at_block_barrier) ++at_barriers, at_barrier = &thread;
    if (thread.state == State::in_warp_call) ++in_warp_calls, in_warp_call = &thread;
  }
  const std::string all = std::to_string(size_);
  std::string text = "deadlock:";
  if (at_barriers > 0)
    text += " " + std::to_string(at_barriers) + " of " + all + " threads wait at __syncthreads (" +
            text_of(at_barrier->place) + "),";
  if (in_warp_calls > 0)
    text += " " + std::to_string(in_warp_calls) + " of " + all + " threads wait in a " +
            name_of(in_warp_call->call) + " (" + text_of(in_warp_call->place) + "),";
  return text + " " + std::to_string(ended_) + " have ended";
}

bool Processor::shared_guard_intact() const {
  const unsigned char* guard = shared_->bytes + kernel_->shared_bytes;
  for (std::size_t i = 0; i < guard_bytes; ++i)
    if (guard[i] != 0xff) return false;
  return true;
}

}  // namespace emulation
