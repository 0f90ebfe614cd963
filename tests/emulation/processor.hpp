// SPDX-License-Identifier: Apache-2.0
#pragma once
// One block of threads on fibers. A fiber runs one thread after the other for as long as none has
// to wait, so that a kernel without barriers costs what a loop costs. Where a thread waits, its
// fiber keeps the stack and another fiber goes on.
#include <array>
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/stack_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "block.hpp"
#include "cuda_runtime.h"

namespace emulation {

using Context = boost::context::detail::fcontext_t;

struct Fiber {
  Context context = nullptr;  // while suspended: where it goes on
  unsigned thread = 0;        // of the block
  boost::context::stack_context stack;
};

enum class State : unsigned char {
  not_started,
  running,
  at_block_barrier,
  in_warp_call,
  ready,
  ended
};

struct Thread {
  State state = State::not_started;
  WarpCall call{};
  unsigned mask = 0;
  int source = 0;
  std::uint64_t value = 0;   // given to the warp call
  std::uint64_t result = 0;  // what the warp call returns
  Place place;               // where it waits
  Fiber* fiber = nullptr;    // while it waits
};

const char* name_of(WarpCall call);

/// What one thread of the operating system keeps from block to block.
class Processor {
 public:
  Processor();
  ~Processor();
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;
  std::string run(const Kernel& kernel, uint3 index);

  // For the thread that runs:
  int block_barrier(int predicate, const Place& place);
  std::uint64_t warp_call(WarpCall call, unsigned mask, std::uint64_t value, int source,
                          const Place& place);
  [[noreturn]] void fail(const std::string& message, const Place& place);
  unsigned thread() const { return running_->thread; }
  void* shared() { return shared_->bytes; }

 private:
  static constexpr unsigned lanes = 32;
  static constexpr std::size_t guard_bytes = 256;
  struct alignas(128) Shared {
    unsigned char bytes[most_shared_bytes + guard_bytes];
  };

  void begin(const Kernel& kernel, uint3 index);
  Fiber& idle_fiber();
  static void enter(boost::context::detail::transfer_t from);
  void work(Fiber& me);
  void suspend(Fiber& me);
  void wait();
  Context next();
  void run_until_nothing_is_ready(Context first);
  void make_ready(unsigned thread);
  bool complete_warp_call(unsigned thread);
  void abort_all();
  std::string waiting_text() const;
  bool shared_guard_intact() const;
  unsigned nth(unsigned i) const { return kernel_->reversed ? size_ - 1 - i : i; }

  const Kernel* kernel_ = nullptr;
  unsigned size_ = 0;     // threads of the block
  unsigned started_ = 0;  // the first so many in the order of nth()
  unsigned ended_ = 0;
  unsigned at_barrier_ = 0;
  int predicates_ = 0;  // of those at the barrier, and of all when it opens
  int predicates_then_ = 0;
  Place barrier_place_;  // of the first at the barrier
  bool aborting_ = false;
  std::string failure_;
  std::vector<Thread> threads_;
  std::vector<uint3> coordinates_;
  dim3 coordinates_of_{0, 0, 0};  // the block shape that they belong to
  static constexpr unsigned ring = 1024;
  std::array<unsigned, ring> ready_{};  // a ring; each thread stands in it once at most
  unsigned ready_first_ = 0, ready_count_ = 0;
  std::array<unsigned, 32> waiting_lanes_{};  // of each warp: in a warp call
  std::array<unsigned, 32> missing_lanes_{};  // of each warp: ended, or none from the start
  Context scheduler_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Fiber* running_ = nullptr;
  std::unique_ptr<Shared> shared_;
};

}  // namespace emulation
